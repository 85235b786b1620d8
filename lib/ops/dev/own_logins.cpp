// Who the .env files log in as: what this run writes has to fit the servers that it makes, and what can't log in is told.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <tuple>

#include "lib/base/failure.hpp"
#include "lib/base/percent.hpp"
#include "lib/io/http.hpp"
#include "lib/ops/dev/steps.hpp"
#include "lib/scaffold/dev/env_order.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;
namespace pg = io::postgres;

struct Account {
  std::string user, password;
  bool operator==(const Account&) const = default;
};

// A container's password is the compose file's, whatever a URL says of it.
std::optional<Account> given_to_redis(const compose::Service& service) {
  std::string words;
  for (const auto* list : {&service.entrypoint, &service.command}) {
    if (!*list) continue;
    for (const auto& word : **list) words += word + " ";
  }
  constexpr std::string_view option = "--requirepass ";
  const auto at = words.find(option);
  if (at == std::string::npos) return std::nullopt;
  const auto begin = words.find_first_not_of(" '\"", at + option.size());
  if (begin == std::string::npos) return std::nullopt;
  const auto password = words.substr(begin, words.find_first_of(" '\"", begin) - begin);
  return password.find('$') == std::string::npos ? std::optional{Account{{}, password}} : std::nullopt;
}

Account redis_account(const Workspace& workspace) {
  const auto* service = workspace.backend == Backend::docker ? service_of(workspace, Store::redis) : nullptr;
  if (auto given = service != nullptr ? given_to_redis(*service) : std::nullopt) return *given;
  const auto target = workspace.redis_target();
  return {target.user, target.password.reveal()};
}

bool leads_to_redis(const Workspace& workspace, const UrlPlace& place) {
  const auto& own = workspace.redis;
  if (!own.wanted || store_of_scheme(place.scheme) != Store::redis) return false;
  const auto port_of = [](const UrlPlace& one) { return one.port.empty() ? default_port(Store::redis) : port_number(one.port); };
  if (is_loopback(place.host)) {
    const auto named = own.given && !own.variable.empty() ? url_place(workspace.url(own)) : std::nullopt;
    return port_of(place) == own.reach() || (named && is_loopback(named->host) && port_of(place) == port_of(*named));
  }
  const bool another = workspace.compose && workspace.compose->services.count(place.host) != 0 && place.host != own.service;
  return is_container_name(workspace, Store::redis, place.host) && !another;
}

bool leads_to_own(const Workspace& workspace, const UrlPlace& place) {
  if (leads_to_redis(workspace, place)) return true;
  const auto server = own_server(workspace, place);
  return server && server->main;
}

std::string main_variable(const Workspace& workspace, Store store) {
  const auto& setting = store == Store::postgres ? workspace.environment.database.url_variable : workspace.environment.redis.url_variable;
  return !setting.empty() ? setting : store == Store::postgres ? "DATABASE_URL" : "REDIS_URL";
}

// Two roles named in one file are meant to be two; a role with a database of its own is made with it.
bool is_own_role(const Workspace& workspace, const EnvFile& file, const std::string& name, const UrlPlace& place, const std::string& user) {
  const auto own = workspace.database();
  if (user == own.user) return true;
  if (percent_decoded(place.path) != own.database) return false;
  const auto main = main_variable(workspace, Store::postgres);
  if (name == main) return true;
  const auto said = url_place(file.after.value(main).value_or(""));
  return said && percent_decoded(said->user) == user;
}

// What stands before the host: "user:password@".
std::string login_text(const Account& account) {
  if (account.user.empty() && account.password.empty()) return {};
  return fmt::format("{}:{}@", io::percent_encode(account.user), io::percent_encode(account.password));
}

// The URLs of one file that this run writes, and that lead to this checkout's own server.
void fit_urls(const Workspace& workspace, EnvFile& file, Store store, const Account& own) {
  std::vector<std::pair<std::string, std::string>> changes;
  for (const auto& statement : file.after.statements()) {
    if (!statement.value || file.after.find(statement.name) != &statement || file.had(statement.name)) continue;
    const auto place = url_place(*statement.value);
    if (!place || store_of_scheme(place->scheme) != store || !leads_to_own(workspace, *place)) continue;
    const Account said{percent_decoded(place->user), percent_decoded(place->password)};
    if (said == own || (store == Store::postgres && !is_own_role(workspace, file, statement.name, *place, said.user))) continue;
    auto raw = file.after.raw(statement);
    const auto at = url_place(raw);
    const auto begin = raw.find("://");
    if (!at || begin == std::string::npos || begin + 3 > at->begin) continue;
    changes.emplace_back(statement.name, raw.replace(begin + 3, at->begin - begin - 3, login_text(own)));
  }
  // Each was compared with what the main one of its file said.
  for (const auto& [name, raw] : changes) file.after.replace(name, raw);
}

// The same in pieces.
void fit_pieces(const Workspace& workspace, EnvFile& file, const Account& own) {
  const auto parts = parts_in(workspace, Store::postgres, std::filesystem::path{file.path}.parent_path().string());
  const auto place = parts ? url_place(parts->url) : std::nullopt;
  if (!place || parts->user.empty() || parts->password.empty() || !leads_to_own(workspace, *place)) return;
  const bool fresh = file.after.find(parts->user) != nullptr && !file.had(parts->user) && !file.had(parts->password) &&
                     std::find(file.generated.begin(), file.generated.end(), parts->password) != file.generated.end();
  const auto target = pg::parse_target(parts->url);
  if (!fresh || target.database != workspace.database().database || (target.user == own.user && target.password.reveal() == own.password)) return;
  if (!quoted_value(own.user) || !quoted_value(own.password)) return;
  file.after.set(parts->user, own.user, {});
  file.after.set(parts->password, own.password, {});
}

struct Login {
  std::string url, named;
};
std::vector<Login> logins(const Workspace& workspace, Store store) {
  std::vector<Login> all;
  const auto add = [&](const std::string& url, const std::string& name, const std::string& file) {
    const auto place = url_place(url);
    if (place && store_of_scheme(place->scheme) == store && leads_to_own(workspace, *place)) all.push_back({url, fmt::format("{} in {}", name, file)});
  };
  std::set<std::string> folders;
  for (const auto& file : workspace.env) {
    folders.insert(std::filesystem::path{file.path}.parent_path().string());
    for (const auto& statement : file.after.statements()) {
      if (statement.value && file.after.find(statement.name) == &statement) add(*statement.value, statement.name, file.path);
    }
  }
  for (const auto& folder : folders) {
    const auto parts = parts_in(workspace, store, folder);
    const auto named = parts && !parts->password.empty() ? named_in(workspace.env, parts->password, folder) : std::nullopt;
    if (named && other_server(workspace, store, {*parts, named->file}).empty()) add(parts->url, parts->password, named->file);
  }
  return all;
}

template <typename Work>
void unless_unreadable(const Work& work) {
  try {
    work();
  } catch (const Failure& failure) {
    // Whose URL can't be read is told by its own step.
    if (failure.code() != Exit::config) throw;
  }
}

std::string own_named(const StorePlan& store) { return store.variable.empty() ? std::string{"the compose file"} : fmt::format("{} in {}", store.variable, store.file); }

// Empty: it can log in, or that can't be told now.
std::string postgres_refusal(const Workspace& workspace, pg::Target target, const Limits& limits) {
  target.host = workspace.postgres.host;
  target.port = std::to_string(workspace.postgres.reach());
  for (const auto* other : {"hostaddr", "service"}) target.options.erase(other);
  try {
    pg::Connection::open(target, limits.within(Milliseconds{3'000}));
  } catch (const pg::DatabaseError& error) {
    if (error.sqlstate().starts_with("28")) return fmt::format("its role \"{}\" is not there, or has another password", target.user);
  }
  return {};
}

std::vector<std::string> refused_by_postgres(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> refused;
  const auto own = workspace.database();
  std::set<std::tuple<std::string, std::string, std::string>> known;
  for (const auto& login : logins(workspace, Store::postgres)) {
    unless_unreadable([&] {
      const auto target = pg::parse_target(login.url, login.named);
      const auto& password = target.password.reveal();
      if (target.user.empty() || password.empty() || (target.user == own.user && password == own.password.reveal())) return;
      if (!known.emplace(target.user, password, target.database).second) return;
      const auto why = postgres_refusal(workspace, target, limits);
      if (!why.empty()) refused.push_back(fmt::format("{} can't log in: {}; this checkout's own is {}", login.named, why, own_named(workspace.postgres)));
    });
  }
  return refused;
}

std::vector<std::string> refused_by_redis(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> refused;
  const auto own = workspace.redis_target();
  std::set<std::pair<std::string, std::string>> known{{own.user, own.password.reveal()}};
  for (const auto& login : logins(workspace, Store::redis)) {
    unless_unreadable([&] {
      auto target = io::parse_redis_url(login.url);
      if (target.tls || !known.emplace(target.user, target.password.reveal()).second) return;
      target.tcp.host = workspace.redis.host;
      target.tcp.port = workspace.redis.reach();
      if (!refuses_login(ask_redis(target, limits))) return;
      const auto why = target.password.empty() ? "it has no password, and the server wants one" : own.password.empty() ? "it has a password, and the server has none" : "it has another password than the server";
      refused.push_back(fmt::format("{} can't log in: {}; this checkout's own is {}", login.named, why, own_named(workspace.redis)));
    });
  }
  return refused;
}

}  // namespace

bool fit_logins(Workspace& workspace) {
  std::vector<std::string> before;
  for (const auto& file : workspace.env) before.push_back(file.after.text());
  unless_unreadable([&] {
    if (!workspace.postgres.wanted) return;
    const auto target = workspace.database();
    const Account own{target.user, target.password.reveal()};
    if (own.password.empty()) return;
    for (auto& file : workspace.env) {
      fit_urls(workspace, file, Store::postgres, own);
      fit_pieces(workspace, file, own);
    }
  });
  unless_unreadable([&] {
    if (!workspace.redis.wanted) return;
    const auto own = redis_account(workspace);
    for (auto& file : workspace.env) fit_urls(workspace, file, Store::redis, own);
  });
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (workspace.env[i].after.text() != before[i]) return true;
  }
  return false;
}

std::vector<std::string> refused_logins(const Workspace& workspace, Store store, const Limits& limits) {
  std::vector<std::string> refused;
  unless_unreadable([&] { refused = store == Store::postgres ? refused_by_postgres(workspace, limits) : refused_by_redis(workspace, limits); });
  return refused;
}

}  // namespace codops::ops::dev
