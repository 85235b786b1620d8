// What the checkout's own commands see: which database is meant is decided once, and a seed never meets another one.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "lib/base/failure.hpp"
#include "lib/io/http.hpp"
#include "lib/io/redis_probe.hpp"
#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/env_order.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;

// What libpq and its programs take from the environment: a shell's may lead to another machine, whatever the URL says.
constexpr std::array<const char*, 12> libpq_places{"PGHOST",    "PGHOSTADDR", "PGPORT",  "PGDATABASE",  "PGUSER", "PGPASSWORD",
                                                   "PGPASSFILE", "PGSERVICE",  "PGOPTIONS", "PGSERVICEFILE", "PGSSLMODE", "PGTARGETSESSIONATTRS"};

std::string variable_of(const Workspace& workspace, Store store) {
  const auto& setting = store == Store::postgres ? workspace.environment.database.url_variable : workspace.environment.redis.url_variable;
  return !setting.empty() ? setting : store == Store::postgres ? "DATABASE_URL" : "REDIS_URL";
}

std::string url_of(const io::postgres::Target& target) {
  return fmt::format("postgresql://{}:{}@{}:{}/{}", io::percent_encode(target.user), io::percent_encode(target.password.reveal()), target.host, target.port, io::percent_encode(target.database));
}

// The same URL, with a host that this machine knows.
std::string reachable(const Workspace& workspace, const StorePlan& store, std::string url) {
  const auto place = url_place(url);
  if (!place || is_loopback(place->host) || !is_container_name(workspace, store.store, place->host)) return url;
  url.replace(place->begin, place->end - place->begin, fmt::format("{}:{}", store.host, store.reach()));
  return url;
}

// What leads to the checkout's own store; empty: it can't be told, and the step that needs it says why.
std::string own_url(const Workspace& workspace, const StorePlan& store) {
  try {
    if (!store.variable.empty()) return reachable(workspace, store, workspace.value(store.variable).value_or(""));
    if (store.store == Store::postgres) return url_of(workspace.database());
    return fmt::format("redis://{}:{}", store.host, store.reach());
  } catch (const Failure&) {
    return {};
  }
}

bool same_host(const std::string& one, const std::string& other) { return one == other || (is_loopback(one) && is_loopback(other)); }

std::string place_text(const std::string& host, const std::string& port, const std::string& database) {
  return fmt::format("\"{}\" on {}:{}", database, host.empty() ? "the local socket" : host, port);
}

// Where the URL leads, when that is not `own`; empty: it is.
std::string other_postgres(const std::string& url, const io::postgres::Target& own) {
  try {
    const auto seen = io::postgres::parse_target(url);
    const auto port = seen.port.empty() ? std::string{"5432"} : seen.port;
    const auto address = seen.options.find("hostaddr");
    const auto host = address != seen.options.end() ? address->second : seen.host;
    const auto database = seen.database.empty() ? seen.user : seen.database;
    if (seen.options.count("service") == 0 && same_host(host, own.host) && port == own.port && database == own.database) return {};
    return place_text(host, port, database);
  } catch (const Failure&) {
    return "what can't be read as a URL";
  }
}

std::string other_redis(const std::string& url, const io::RedisTarget& own) {
  try {
    const auto seen = io::parse_redis_url(url);
    if (same_host(seen.tcp.host, own.tcp.host) && seen.tcp.port == own.tcp.port && seen.database == own.database) return {};
    return place_text(seen.tcp.host, std::to_string(seen.tcp.port), std::to_string(seen.database));
  } catch (const Failure&) {
    return "what can't be read as a URL";
  }
}

std::string other_place(const Workspace& workspace, const StorePlan& store, const std::string& url) {
  if (store.store == Store::postgres) return other_postgres(url, workspace.database());
  return other_redis(url, workspace.redis_target());
}

std::string own_place(const Workspace& workspace, const StorePlan& store) {
  if (store.store == Store::redis) return place_text(store.host, std::to_string(store.reach()), std::to_string(workspace.redis_target().database));
  return place_text(store.host, std::to_string(store.reach()), workspace.database().database);
}

}  // namespace

std::optional<std::string> Workspace::value(const std::string& name) const {
  const auto found = named_first(env, name);
  return found ? std::optional{found->value} : std::nullopt;
}

std::map<std::string, std::string> Workspace::child_environment(const std::string& directory) const {
  auto variables = shell;
  // A developer's shell may hold another database's URL, or NODE_ENV=production: the checkout's own files win.
  if (postgres.wanted) {
    for (const auto* name : libpq_places) variables.erase(name);
  }
  for (auto at = variables.begin(); at != variables.end();) {
    const auto place = url_place(at->second);
    const auto store = place ? store_of_scheme(place->scheme) : Store::none;
    const bool another = (store == Store::postgres && postgres.wanted) || (store == Store::redis && redis.wanted);
    at = another ? variables.erase(at) : std::next(at);
  }
  const auto files = files_for(env, directory);
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    for (const auto& statement : (*file)->after.statements()) {
      if (statement.value) variables[statement.name] = *statement.value;
    }
  }
  for (const auto* store : {&postgres, &redis}) {
    if (!store->wanted) continue;
    const auto name = variable_of(*this, store->store);
    const auto own = named_in(env, name, directory);
    if (auto url = own ? reachable(*this, *store, own->value) : own_url(*this, *store); !url.empty()) variables[name] = std::move(url);
  }
  variables.erase("CODOPS_TEST_KILL");
  variables.erase("CODOPS_TEST_FAIL");
  return variables;
}

void note_shell(Workspace& workspace) {
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    const auto name = variable_of(workspace, store->store);
    const auto said = workspace.shell.find(name);
    if (!store->wanted || said == workspace.shell.end() || said->second.empty()) continue;
    try {
      const auto other = other_place(workspace, *store, said->second);
      if (other.empty()) continue;
      workspace.notes.push_back(fmt::format("{} of this shell leads to {}; setup-dev and its commands use {}{}, and what is started from this shell would not: unset {}", name, other,
                                            own_place(workspace, *store), store->file.empty() ? "" : " of " + store->file, name));
    } catch (const Failure&) {
      // The step that needs the checkout's own URL tells what is wrong with it.
    }
  }
}

std::string sees_another(const Workspace& workspace, const std::string& directory) {
  const auto seen = workspace.child_environment(directory);
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    if (!store->wanted) continue;
    const auto name = variable_of(workspace, store->store);
    const auto url = seen.find(name);
    const auto other = url == seen.end() ? std::string{"nothing"} : other_place(workspace, *store, url->second);
    if (other.empty()) continue;
    const auto from = named_in(workspace.env, name, directory);
    return fmt::format("{} of {} leads to {}, and this checkout's own is {}{}", name, from ? from->file : "the compose file", other, own_place(workspace, *store),
                       store->file.empty() || (from && from->file == store->file) ? "" : " (" + store->file + ")");
  }
  return {};
}

}  // namespace codops::ops::dev
