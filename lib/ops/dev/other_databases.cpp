// What the .env files name beside the checkout's own PostgreSQL and Redis.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "lib/base/failure.hpp"
#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/env_order.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;

std::string port_of_url(const UrlPlace& place) { return place.port.empty() ? "5432" : place.port; }

// Of two PostgreSQL services in a compose file, each has its port and its name.
std::optional<OwnServer> other_service(const Workspace& workspace, const UrlPlace& place) {
  if (workspace.backend != Backend::docker || !workspace.compose) return std::nullopt;
  for (const auto& [name, service] : workspace.compose->services) {
    if (name == workspace.postgres.service || store_of_service(service) != Store::postgres || service.replicas() == 0) continue;
    const auto port = published_port(service, default_port(Store::postgres));
    const bool meant = is_loopback(place.host) ? std::to_string(port) == port_of_url(place) : name == place.host;
    if (port != 0 && meant) return OwnServer{false, "127.0.0.1", step_of_service(name), port};
  }
  return std::nullopt;
}

bool is_another_service(const Workspace& workspace, const std::string& host) {
  return workspace.backend == Backend::docker && host != workspace.postgres.service && workspace.compose && workspace.compose->services.count(host) != 0;
}

}  // namespace

std::optional<OwnServer> own_server(const Workspace& workspace, const UrlPlace& place) {
  const auto& own = workspace.postgres;
  if (!own.wanted || store_of_scheme(place.scheme) != Store::postgres) return std::nullopt;
  if (is_loopback(place.host)) {
    // Where the engine chooses the port, what the checkout's own URL says is all that there is to compare with.
    const auto named = own.variable.empty() ? std::nullopt : url_place(workspace.url(own));
    const auto port = port_of_url(place);
    if (port == std::to_string(own.reach()) || (own.given && named && is_loopback(named->host) && port == port_of_url(*named))) return OwnServer{true, own.host, own.name, own.reach()};
  } else if (is_container_name(workspace, Store::postgres, place.host) && !is_another_service(workspace, place.host)) {
    return OwnServer{true, own.host, own.name, own.reach()};
  }
  return other_service(workspace, place);
}

std::vector<OtherDatabase> other_databases(const Workspace& workspace, const io::postgres::Target& main) {
  std::vector<OtherDatabase> others;
  const auto add = [&](const std::string& url, const std::string& name, const std::string& file) {
    const auto place = url_place(url);
    const auto server = place ? own_server(workspace, *place) : std::nullopt;
    if (!server || !server->main) return;
    try {
      auto target = io::postgres::parse_target(url);
      const bool own = target.database.empty() || target.user.empty() || target.database == main.database || target.database == "postgres" || target.database.starts_with("template");
      if (own || target.password.empty() || target.user == LocalPostgres::superuser) return;
      if (std::any_of(others.begin(), others.end(), [&](const OtherDatabase& one) { return one.target.database == target.database; })) return;
      others.push_back({std::move(target), fmt::format("{} in {}", name, file)});
    } catch (const Failure&) {
      // The main one's is told by its own step; the others are their programs' to read.
    }
  };
  std::set<std::string> folders;
  for (const auto& file : workspace.env) {
    folders.insert(std::filesystem::path{file.path}.parent_path().string());
    for (const auto& statement : file.after.statements()) {
      if (statement.value) add(*statement.value, statement.name, file.path);
    }
  }
  for (const auto& folder : folders) {
    const auto parts = parts_in(workspace, Store::postgres, folder);
    // A piece of its own makes it another database: the host alone is the project's.
    const auto named = parts ? named_in(workspace.env, parts->database.empty() ? parts->first() : parts->database, folder) : std::nullopt;
    if (named && other_server(workspace, Store::postgres, {*parts, named->file}).empty()) add(parts->url, parts->database.empty() ? parts->first() : parts->database, named->file);
  }
  return others;
}

void note_strangers(Workspace& workspace) {
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    if (!store->wanted || store->port == 0) continue;
    for (const auto& file : workspace.env) {
      for (const auto& statement : file.after.statements()) {
        const auto place = statement.value ? url_place(*statement.value) : std::nullopt;
        if (!place || store_of_scheme(place->scheme) != store->store || !is_loopback(place->host)) continue;
        const auto port = place->port.empty() ? default_port(store->store) : port_number(place->port);
        const bool planned = std::any_of(workspace.ports.begin(), workspace.ports.end(), [&](const PortPlan& one) { return one.port == port || one.moved_to == port; });
        if (port == 0 || port == store->port || planned || !is_free("127.0.0.1", port)) continue;
        note_once(workspace, fmt::format("{} in {} leads to port {}, where nobody is; this checkout's own server is on {}", statement.name, file.path, port, store->port));
      }
    }
  }
}

}  // namespace codops::ops::dev
