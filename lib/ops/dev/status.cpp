#include "lib/ops/dev/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"
#include "lib/migrate/migrate.hpp"
#include "lib/ops/dev/container_definition.hpp"
#include "lib/ops/dev/containers.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/local_redis.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;

ServiceState local_state(const std::string& name, const std::optional<ServerProcess>& process, const std::string& version, std::uint16_t port, bool has_data) {
  ServiceState state{name, "stopped", {}, has_data ? "data is there" : "no data yet", false};
  if (!process) return state;
  state.state = "running";
  state.good = true;
  state.address = fmt::format("127.0.0.1:{}", port);
  state.note = version;
  if (const auto up = process->uptime()) state.note += fmt::format("{}since {}", version.empty() ? "" : ", ", format_age(*up));
  state.note += fmt::format(", pid {}", process->pid());
  return state;
}

const PortPlan* port_of(const Workspace& workspace, const StorePlan& store) {
  const auto found = std::find_if(workspace.ports.begin(), workspace.ports.end(), [&](const PortPlan& one) { return one.store == store.store && (store.service.empty() || one.service == store.service); });
  return found == workspace.ports.end() ? nullptr : &*found;
}

std::string who_holds(const PortPlan& port) {
  if (!port.holder_container.empty()) return fmt::format("container \"{}\"", port.holder_container);
  return port.holder ? port.holder->text() : std::string{};
}

void add_local(const Workspace& workspace, DevStatus& status) {
  if (workspace.postgres.wanted) {
    const LocalPostgres server{workspace.project};
    status.services.push_back(local_state(workspace.postgres.name, server.process(), server.major().empty() ? "" : "PostgreSQL " + server.major(), server.port_in_use(), server.has_data()));
  }
  if (workspace.redis.wanted) {
    const LocalRedis server{workspace.project};
    auto state = local_state(workspace.redis.name, server.process(), {}, workspace.redis.port, server.has_data());
    if (const auto* port = port_of(workspace, workspace.redis); state.good && port != nullptr && !port->ours) {
      state.good = false;
      state.address.clear();
      state.note += fmt::format(", and not on port {}", port->port);
    }
    status.services.push_back(std::move(state));
  }
}

void add_containers(const Workspace& workspace, const Ledger& ledger, DevStatus& status, const Limits& limits) {
  const auto all = containers_of(workspace, limits);
  for (const auto& [name, service] : workspace.compose->services) {
    const auto found = std::find_if(all.begin(), all.end(), [&service_name = name](const ServiceContainer& one) { return one.service == service_name; });
    if (service.replicas() == 0 && found == all.end()) continue;
    ServiceState state{name, found == all.end() ? "no container" : found->state, {}, found == all.end() ? "" : found->name, false};
    state.good = state.state == "healthy" || state.state == "running" ||
                 (state.state == "exited with 0" && ending_of(workspace, name, found->id, ledger) != JobEnd::never);
    for (const auto& port : workspace.ports) {
      if (port.service == name && state.good) state.address = fmt::format("{}:{}", port.address.empty() ? "localhost" : port.address, port.port);
    }
    status.services.push_back(std::move(state));
  }
}

// The compose file is gone, what it made is not.
void add_left(const Workspace& workspace, DevStatus& status, const Limits& limits) {
  for (const auto& one : containers_here(workspace, limits)) status.services.push_back({one.service, one.state, {}, one.name + ", and the compose file is gone", false});
}

// How the migrations of one folder stand; `good` is left as it is when they are well.
std::string migrations_text(const Workspace& workspace, const MigrationPlan& plan, bool& good, const Limits& limits) {
  try {
    auto connection = io::postgres::Connection::open(workspace.database_of(plan), limits.within(Milliseconds{3'000}));
    const auto source = migrate::recognise(migrate::read_folder((workspace.project / plan.folder).string()), migrate::layout_named(workspace.environment.migrate.source));
    const auto ledger = migrate::status(source, connection, true, limits);
    const auto pending = ledger.count(migrate::State::pending) + ledger.count(migrate::State::unfinished);
    const auto failed = ledger.count(migrate::State::failed);
    const auto edited = ledger.count(migrate::State::edited), missing = ledger.count(migrate::State::missing);
    if (edited + missing + pending + failed == 0) return fmt::format("up to date ({} migrations)", ledger.items.size());
    good = false;
    if (edited + missing != 0) return fmt::format("{} applied migrations were changed, {} are gone: codops migrate status {}", edited, missing, plan.subject);
    return fmt::format("{} pending, {} failed: codops setup-dev", pending, failed);
  } catch (const Failure& failure) {
    limits.check("asking the database");
    good = false;
    return failure.message();
  }
}

void add_database(const Workspace& workspace, DevStatus& status, const Limits& limits) {
  if (!workspace.postgres.wanted || workspace.migrations.empty()) return;
  try {
    require_own_server(workspace, workspace.postgres, limits);
  } catch (const Failure& failure) {
    limits.check("asking the database");
    status.database_good = false;
    status.database = failure.message();
    return;
  }
  status.database_good = true;
  for (const auto& plan : workspace.migrations) {
    const auto text = migrations_text(workspace, plan, status.database_good, limits);
    status.database += workspace.migrations.size() == 1 ? text : fmt::format("{}{}: {}", status.database.empty() ? "" : "; ", plan.folder, text);
  }
}

}  // namespace

bool DevStatus::good() const {
  if (services.empty() && (expected || !set_up)) return false;
  return database_good && std::all_of(services.begin(), services.end(), [](const ServiceState& one) { return one.good; });
}

void require_own_server(const Workspace& workspace, const StorePlan& store, const Limits& limits) {
  if (workspace.engine_failure) throw *workspace.engine_failure;
  if (workspace.backend == Backend::docker) {
    if (workspace.compose_failure) throw *workspace.compose_failure;
    if (workspace.compose) require_ours(workspace, limits);
  }
  if (workspace.backend == Backend::docker && workspace.compose && workspace.api && !store.service.empty()) {
    // It has its port all the same, and would never answer.
    if (const auto container = find_container_of(workspace, store.service, limits); container && container->state == target::RunState::paused) {
      throw Failure{Exit::unavailable, fmt::format("this checkout's {} (container \"{}\") is paused", store.store == Store::postgres ? "PostgreSQL" : "Redis", container->name), "codops setup-dev"};
    }
  }
  const auto* port = port_of(workspace, store);
  if (port == nullptr || port->ours) return;  // a service that publishes nothing: no other can be met by it
  const auto holder = port->moved_to == 0 ? who_holds(*port) : std::string{};
  throw Failure{Exit::unavailable,
                fmt::format("this checkout's {} is not on port {}{}", store.store == Store::postgres ? "PostgreSQL" : "Redis", store.port, holder.empty() ? ": nobody is" : ", which " + holder + " has"),
                holder.empty() ? "codops setup-dev" : workspace.backend == Backend::docker && port->variable.empty() ? "end that, or write another port into the compose file, then codops setup-dev" : "codops setup-dev --remap moves it to a free one"};
}

DevStatus dev_status(const Workspace& workspace, const Limits& limits) {
  DevStatus status;
  status.set_up = std::filesystem::is_directory(workspace.folder);
  if (!status.set_up) require_something(workspace);
  if (workspace.engine_failure) throw *workspace.engine_failure;
  if (workspace.backend == Backend::docker && workspace.compose_failure) throw *workspace.compose_failure;
  if (workspace.backend == Backend::docker && workspace.compose) require_ours(workspace, limits);
  status.backend = workspace.backend;
  const Ledger ledger{workspace.folder};
  if (workspace.backend == Backend::local) add_local(workspace, status);
  else if (workspace.compose) add_containers(workspace, ledger, status, limits);
  else if (workspace.api) add_left(workspace, status, limits);
  status.expected = ledger.find(backend_key).has_value();
  add_database(workspace, status, limits);
  return status;
}

std::string text(const DevStatus& status) {
  auto out = fmt::format("development  {}  {} backend\n", status.good() ? "ready" : "not ready", name_of(status.backend));
  out += fmt::format("  {:<12} {:<14} {:<18} {}\n", "SERVICE", "STATE", "ADDRESS", "");
  for (const auto& one : status.services) out += fmt::format("  {:<12} {:<14} {:<18} {}\n", one.service, one.state, one.address, one.note);
  if (!status.database.empty()) out += fmt::format("  {:<12} {}\n", "database", status.database);
  if (status.services.empty()) out += status.expected ? "  what was set up here is not there any more\n" : status.set_up ? "  it needs no services\n" : "  nothing was set up here yet\n";
  while (out.find(" \n") != std::string::npos) out.erase(out.find(" \n"), 1);
  if (!status.good()) out += "  next:  codops setup-dev\n";
  return out;
}

std::string json(const DevStatus& status) {
  nlohmann::ordered_json document{{"ready", status.good()}, {"backend", name_of(status.backend)}, {"services", nlohmann::ordered_json::array()}, {"database", status.database}};
  for (const auto& one : status.services) {
    document["services"].push_back({{"service", one.service}, {"state", one.state}, {"address", one.address}, {"note", one.note}, {"good", one.good}});
  }
  return document.dump();
}

}  // namespace codops::ops::dev
