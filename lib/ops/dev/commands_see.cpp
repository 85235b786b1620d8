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

io::PartLookup in_files(const Workspace& workspace, const std::string& directory) {
  return [&workspace, directory](const std::string& name) {
    const auto found = named_in(workspace.env, name, directory);
    return found ? std::optional{found->value} : std::nullopt;
  };
}

io::PartLookup in_variables(const std::map<std::string, std::string>& variables) {
  return [&variables](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional{found->second};
  };
}

bool is_a_service(const Workspace& workspace, Store store) {
  return workspace.compose && std::any_of(workspace.compose->services.begin(), workspace.compose->services.end(), [&](const auto& one) { return store_of_service(one.second) == store; });
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
    if (!store.variable.empty()) return reachable(workspace, store, workspace.url(store));
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

// DB_PORT exported in a shell goes before that of .env, for a program that is started there.
void note_parts_of_shell(Workspace& workspace, const StorePlan& store) {
  auto seen = workspace.child_environment("");
  std::string names;
  for (const auto& name : io::part_names(store.store)) {
    const auto said = workspace.shell.find(name);
    if (said == workspace.shell.end() || said->second.empty()) continue;
    if (const auto own = seen.find(name); own != seen.end() && own->second == said->second) continue;
    seen[name] = said->second;
    names += (names.empty() ? "" : " ") + name;
  }
  if (names.empty()) return;
  const auto parts = io::store_parts(store.store, in_variables(seen), false);
  try {
    const auto other = parts ? other_place(workspace, store, parts->url) : std::string{};
    if (other.empty()) return;
    workspace.notes.push_back(fmt::format("with {} of this shell what is started from it would use {}; setup-dev and its commands use {}: unset {}", names, other, own_place(workspace, store), names));
  } catch (const Failure&) {
    // The step that needs the checkout's own tells what is wrong with it.
  }
}

}  // namespace

std::optional<std::string> Workspace::value(const std::string& name) const {
  const auto found = named_first(env, name);
  return found ? std::optional{found->value} : std::nullopt;
}

std::optional<io::StoreParts> parts_in(const Workspace& workspace, Store store, const std::string& directory) {
  return io::store_parts(store, in_files(workspace, directory), is_a_service(workspace, store));
}

std::optional<FoundParts> find_parts(const Workspace& workspace, Store store) {
  std::vector<std::string> folders{""};
  for (const auto& file : workspace.env) folders.push_back(std::filesystem::path{file.path}.parent_path().string());
  for (const auto& folder : folders) {
    auto parts = parts_in(workspace, store, folder);
    if (!parts) continue;
    const auto first = named_in(workspace.env, parts->first(), folder);
    return FoundParts{std::move(*parts), first ? first->file : std::string{}};
  }
  return std::nullopt;
}

std::string other_server(const Workspace& workspace, Store store, const FoundParts& found) {
  if (found.parts.host_value.starts_with('/')) return found.parts.host_value;  // a socket of the machine's own server
  const auto folder = std::filesystem::path{found.file}.parent_path().string();
  if (auto kind = io::other_kind(found.parts, in_files(workspace, folder)); !kind.empty()) return kind;
  // "DB_" says nothing of the kind; what the packages talk to does.
  const auto uses = [&](const auto& names) -> std::string {
    for (const auto& package : workspace.packages) {
      for (const auto* name : names) {
        if (std::find(package.dependencies.begin(), package.dependencies.end(), name) != package.dependencies.end()) return name;
      }
    }
    return {};
  };
  const bool open = store == Store::postgres && (found.parts.family == "DB_" || found.parts.family == "DATABASE_") && !is_a_service(workspace, store);
  if (open && uses(std::array{"pg", "postgres", "pg-promise", "pg-native", "@prisma/adapter-pg", "slonik"}).empty()) {
    if (auto other = uses(std::array{"mysql2", "mysql", "mariadb", "mssql", "tedious", "oracledb", "mongoose", "mongodb", "better-sqlite3", "sqlite3"}); !other.empty()) return other;
  }
  if (!workspace.compose) return {};
  const auto service = workspace.compose->services.find(found.parts.host_value);
  const bool another = service != workspace.compose->services.end() && !service->second.image.empty() && !service->second.build && store_of_service(service->second) != store;
  return another ? service->second.image : std::string{};
}

std::string Workspace::url(const StorePlan& store) const {
  if (!store.in_parts) return value(store.variable).value_or("");
  const auto found = find_parts(*this, store.store);
  return found ? found->parts.url : std::string{};
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
  for (const auto* store : {&postgres, &redis}) {
    if (!store->wanted || !store->in_parts) continue;
    for (const auto& name : io::part_names(store->store)) variables.erase(name);
  }
  const auto files = files_for(env, directory);
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    for (const auto& statement : (*file)->after.statements()) {
      if (statement.value) variables[statement.name] = *statement.value;
    }
  }
  for (const auto* store : {&postgres, &redis}) {
    if (!store->wanted) continue;
    if (const auto parts = store->in_parts ? parts_in(*this, store->store, directory) : std::nullopt; parts && is_container_name(*this, store->store, parts->host_value)) {
      variables[parts->host] = store->host;
      variables[parts->port_name()] = std::to_string(store->reach());
    }
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
    if (store->wanted && store->in_parts) note_parts_of_shell(workspace, *store);
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
    if (const auto parts = store->in_parts ? io::store_parts(store->store, in_variables(seen), false) : std::nullopt) {
      if (const auto other = other_place(workspace, *store, parts->url); !other.empty()) {
        const auto from = named_in(workspace.env, parts->first(), directory);
        return fmt::format("{} of {} leads to {}, and this checkout's own is {}", parts->first(), from ? from->file : store->file, other, own_place(workspace, *store));
      }
    }
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
