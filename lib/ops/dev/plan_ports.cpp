// Which ports this checkout listens on, who has them, and where they go when somebody else does.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/compose/load.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/containers.hpp"
#include "lib/io/files.hpp"
#include "lib/ops/dev/container_definition.hpp"
#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/local_redis.hpp"
#include "lib/scaffold/dev/orphans.hpp"
#include "lib/text/interpolation.hpp"
#include "lib/text/yaml.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;
namespace docker = engine::docker;

// "POSTGRES_PORT" of "127.0.0.1:${POSTGRES_PORT:-5432}:5432": the last variable before the container's port.
std::string variable_in(const std::string& text) {
  auto at = text.rfind("${");
  if (at == std::string::npos) return {};
  at += 2;
  const auto end = text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", at);
  return text.substr(at, end - at);
}

std::vector<PortPlan> docker_ports(const Workspace& workspace) {
  std::vector<PortPlan> ports;
  if (!workspace.compose) return ports;
  for (const auto& [name, service] : workspace.compose->services) {
    if (service.replicas() == 0) continue;
    for (const auto& port : service.ports) {
      const auto published = port_number(port.published);
      if (published == 0 || port.protocol == "udp") continue;
      PortPlan plan;
      plan.service = name;
      plan.address = port.host_ip;
      plan.port = published;
      plan.store = port.target == default_port(store_of_service(service)) ? store_of_service(service) : Store::none;
      plan.variable = port_variable(*workspace.compose, name, port.published);
      ports.push_back(std::move(plan));
    }
  }
  return ports;
}

std::vector<PortPlan> local_ports(const Workspace& workspace) {
  std::vector<PortPlan> ports;
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    if (!store->wanted) continue;
    PortPlan plan;
    plan.service = store->name;
    plan.address = "127.0.0.1";
    plan.port = store->port;
    plan.store = store->store;
    if (const auto found = store->in_parts ? find_parts(workspace, store->store) : std::nullopt) {
      plan.both = found->parts.host_value == "localhost" || found->parts.host_value == "::1";
      for (const auto& file : workspace.env) {
        if (const auto* statement = file.after.find(found->parts.port_name()); statement != nullptr && plan.variable.empty()) plan.variable = variable_in(file.after.raw(*statement));
      }
    }
    // "localhost:${POSTGRES_PORT:-5432}" in a URL: the variable moves, the URL follows.
    for (const auto& file : workspace.env) {
      if (file.path != store->file) continue;
      const auto* statement = file.after.find(store->variable);
      const auto place = statement != nullptr ? url_place(file.after.raw(*statement)) : std::nullopt;
      if (!place) continue;
      plan.variable = variable_in(place->port);
      plan.both = place->host == "localhost" || place->host == "[::1]";
    }
    ports.push_back(std::move(plan));
  }
  return ports;
}

// Who publishes what on the engine: port → container, and whether it is this project's.
struct Published {
  std::string container;
  bool ours{}, left_over{};
};
std::map<std::uint16_t, Published> published_on(const Workspace& workspace, const Limits& limits) {
  std::map<std::uint16_t, Published> found;
  for (const auto& summary : workspace.api->containers({}, false, limits)) {
    const auto label = summary.labels.find(std::string{docker::compose_project_label});
    const auto service = summary.labels.find(std::string{docker::compose_service_label});
    const bool of_project = label != summary.labels.end() && label->second == workspace.compose->name;
    // A service that was renamed, or left the file: nobody replaces its container, which keeps the port.
    const bool known = service != summary.labels.end() && workspace.compose->services.contains(service->second);
    for (const auto port : summary.published) found[port] = {summary.name, of_project && known, of_project && !known};
  }
  return found;
}

constexpr Milliseconds start_time{20'000};

// Who listens in an engine's name; root's, where this user can't see it.
bool may_be_engine(const Holder& holder) {
  if (holder.pid == 0) return holder.user == "root";
  return holder.name == "docker-proxy" || holder.name == "dockerd" || holder.name.starts_with("rootless");
}

// In what it asks for: what it has, the engine says of a container that runs.
bool own_container_wants(const Workspace& workspace, std::uint16_t port, const Limits& limits) {
  for (const auto& summary : workspace.api->containers(of_project(workspace), true, limits)) {
    const auto details = workspace.api->find_container(summary.id, limits);
    if (!details) continue;
    const auto bindings = details->raw->value("/HostConfig/PortBindings"_json_pointer, nlohmann::json{});
    if (!bindings.is_object()) continue;
    for (const auto& [_, all] : bindings.items()) {
      for (const auto& one : all) {
        if (port_number(one.value("HostPort", "")) == port) return true;
      }
    }
  }
  return false;
}

void take_published(PortPlan& plan, const std::map<std::uint16_t, Published>& published) {
  const auto container = published.find(plan.port);
  if (container == published.end()) return;
  plan.ours = container->second.ours;
  if (!plan.ours) plan.holder_container = container->second.container;
  plan.left_over = container->second.left_over;
}

// A run that was ended while the engine started a container: the engine goes on, and its proxy listens before the container counts as one
// that runs. Is the port this checkout's own, or free, once that is over?
bool becomes_own(const Workspace& workspace, PortPlan& plan, const Limits& limits) {
  const auto bounded = limits.within(start_time);
  Backoff backoff{Milliseconds{50}, Milliseconds{500}};
  do {
    if (!own_container_wants(workspace, plan.port, limits)) return false;
    take_published(plan, published_on(workspace, limits));
    if (!plan.holder_container.empty()) return false;
    if (plan.ours || is_free(plan.address, plan.port)) return true;
  } while (backoff.wait(bounded));
  return false;
}

void find_holders(Workspace& workspace, const Limits& limits) {
  std::map<std::uint16_t, Published> published;
  if (workspace.backend == Backend::docker && workspace.compose && !workspace.engine_failure) published = published_on(workspace, limits);
  for (auto& plan : workspace.ports) {
    if (workspace.backend == Backend::docker) {
      take_published(plan, published);
      if (workspace.remote_engine) continue;
    } else {
      const auto process = plan.store == Store::postgres ? LocalPostgres{workspace.project}.process() : LocalRedis{workspace.project}.process();
      const bool ipv4 = process && listens(process->pid(), plan.port, "127.0.0.1");
      // "localhost" may lead to the other loopback address first.
      const bool ipv6 = !plan.both || is_free("::1", plan.port) || (process && listens(process->pid(), plan.port, "::1"));
      plan.ours = ipv4 && ipv6;
      if (!plan.ours && !ipv6 && (ipv4 || is_free("127.0.0.1", plan.port))) {
        plan.holder = holder_of(plan.port, "::1").value_or(Holder{0, {}, "?"});
        continue;
      }
    }
    if (plan.ours || is_free(plan.address, plan.port)) continue;
    const auto holder = holder_of(plan.port, plan.address).value_or(Holder{0, {}, "?"});
    const bool by_engine = workspace.backend == Backend::docker && workspace.compose && !workspace.engine_failure && plan.holder_container.empty() && may_be_engine(holder);
    if (by_engine && becomes_own(workspace, plan, limits)) continue;
    plan.holder = holder;
    if (workspace.backend != Backend::local) continue;
    const auto orphans = orphans_of(workspace.project);
    plan.orphan = std::any_of(orphans.begin(), orphans.end(), [&](const Orphan& one) { return one.process.pid() == holder.pid; });
  }
}

// Where the files say that the store is, which need not be where it is published.
std::optional<UrlPlace> named_place(const Workspace& workspace, const StorePlan& store) {
  if (store.variable.empty()) return std::nullopt;
  return url_place(workspace.url(store));
}

std::string named_variable(const Workspace& workspace, Store store) {
  if (store == Store::none) return {};
  return store == Store::postgres ? workspace.postgres.variable : workspace.redis.variable;
}

std::string who(const PortPlan& plan) {
  if (!plan.holder_container.empty()) return fmt::format("container \"{}\"", plan.holder_container);
  return plan.holder ? plan.holder->text() : "nobody";
}

// One way from what is to what will be; the question for it where existing values change.
void move(Workspace& workspace, Move move, PortPlan* plan, const std::string& reason, const Agree& agree) {
  const auto& store = move.store == Store::redis ? workspace.redis : workspace.postgres;
  if (const auto found = move.store != Store::none && store.in_parts ? find_parts(workspace, move.store) : std::nullopt; found && found->parts.port.empty() && move.to_port != default_port(move.store)) {
    move.unsaid_port = found->parts.port_name();
    move.unsaid_file = found->file;
  }
  auto moved = workspace.env;
  const auto effect = apply_move(moved, move);
  if (!effect.anything && plan != nullptr && !named_variable(workspace, move.store).empty()) return;
  if (!effect.existing.empty()) {
    const auto question = fmt::format("{} Change {} to port {}?", reason, fmt::join(effect.existing, " and "), move.to_port);
    if (!agree || !agree(question)) {
      workspace.pending_changes.insert(workspace.pending_changes.end(), effect.existing.begin(), effect.existing.end());
      return;
    }
  }
  workspace.env = std::move(moved);
  if (!effect.left.empty()) workspace.notes.push_back(fmt::format("{} is moved to {}; left as they are, with {} in them: {}", move.from_port, move.to_port, move.from_port, fmt::join(effect.left, ", ")));
  if (plan != nullptr) plan->moved_to = move.to_port;
}

// The local backend serves this machine: a URL that names a container by its service's name is pointed here.
void point_here(Workspace& workspace, StorePlan& store, const Agree& agree) {
  const auto place = named_place(workspace, store);
  if (!store.wanted || !place || is_loopback(place->host)) return;
  const auto port = place->port.empty() ? default_port(store.store) : port_number(place->port);
  move(workspace, {store.store, place->host, port, "127.0.0.1", store.port, {}}, nullptr,
       fmt::format("{} in {} names \"{}\", which only containers know.", store.variable, store.file, place->host), agree);
}

// nullopt: it may not be read.
std::optional<bool> leads_to(const std::filesystem::path& file, Store store, std::uint16_t port) {
  std::string text;
  try {
    text = io::read_file_if_there(file).value_or("");
  } catch (const Failure&) {
    return std::nullopt;
  }
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    const auto value = line.find_first_not_of("'\" ", line.find('=') + 1);
    if (line.starts_with('#') || line.find('=') == std::string::npos || value == std::string::npos) continue;
    const auto place = url_place(line.substr(value));
    if (place && is_loopback(place->host) && store_of_scheme(place->scheme) == store && (place->port.empty() ? default_port(store) : port_number(place->port)) == port) return true;
  }
  return false;
}

// Files that are nobody's to write here (.env.test, .env.production) and lead to the port that is now somebody else's.
void note_unmoved(Workspace& workspace, const PortPlan& plan) {
  std::set<std::string> folders{""};
  for (const auto& package : workspace.packages) {
    if (!package.directory.empty()) folders.insert(package.directory + "/");
  }
  std::vector<std::string> left, unread;
  for (const auto& folder : folders) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator{workspace.project / folder, error}) {
      const auto name = entry.path().filename().string(), path = folder + name;
      const bool known = std::any_of(workspace.env.begin(), workspace.env.end(), [&](const EnvFile& one) { return one.path == path || one.example == path; });
      const bool example = name.ends_with(".example") || name.ends_with(".sample") || name.ends_with(".template") || name.ends_with(".dist");
      if (!name.starts_with(".env.") || known || example || !entry.is_regular_file(error)) continue;
      const auto leads = leads_to(entry.path(), plan.store, plan.port);
      if (!leads) unread.push_back(path);
      else if (*leads) left.push_back(path);
    }
  }
  std::sort(unread.begin(), unread.end());
  if (!unread.empty()) workspace.notes.push_back(fmt::format("{} can't be read by this user: whether it leads to port {}, which {} has, was not looked at", fmt::join(unread, ", "), plan.port, who(plan)));
  if (left.empty()) return;
  std::sort(left.begin(), left.end());
  workspace.notes.push_back(fmt::format("{} still leads to port {}, which {} has: setup-dev does not write there, so change it to {} yourself", fmt::join(left, ", "), plan.port, who(plan), plan.moved_to));
}

}  // namespace

void learn_port(const Workspace& workspace, const StorePlan& store, const Limits& limits) {
  if (!store.given || !workspace.compose || !workspace.api) return;
  const auto container = find_container_of(workspace, store.service, limits);
  if (!container) return;
  for (const auto& port : container->ports) {
    if (port.container_port == default_port(store.store) && port.host_port != 0) store.given->store(port.host_port);
  }
}

std::string port_variable(const compose::Project& project, const std::string& service, const std::string& published) {
  for (const auto& file : project.files) {
    const auto text = io::read_file_if_there(file);
    if (!text) continue;
    const auto root = text::parse_yaml(*text, file);
    const auto* services = root.find("services");
    const auto* one = services != nullptr ? services->find(service) : nullptr;
    const auto* ports = one != nullptr ? one->find("ports") : nullptr;
    if (ports == nullptr) continue;
    for (const auto& item : ports->items) {
      auto raw = item.is_mapping() ? (item.find("published") != nullptr ? item.find("published")->text : std::string{}) : item.text;
      if (!item.is_mapping()) {
        const auto colon = raw.rfind(':');
        // The colon of a default is inside its braces.
        if (colon == std::string::npos || raw.find('}', colon) != std::string::npos) continue;
        raw.erase(colon);
      }
      const auto variable = variable_in(raw);
      if (variable.empty()) continue;
      const auto value = text::interpolate(raw, [&](std::string_view name) -> std::optional<std::string> {
        const auto found = project.environment.find(std::string{name});
        return found == project.environment.end() ? std::nullopt : std::optional{found->second};
      });
      if (value.substr(value.rfind(':') + 1) == published) return variable;
    }
  }
  return {};
}

bool is_own_now(const Workspace& workspace, const StorePlan& store, const Limits& limits) {
  if (workspace.backend == Backend::local) {
    const auto process = store.store == Store::postgres ? LocalPostgres{workspace.project}.process() : LocalRedis{workspace.project}.process();
    return process && listens(process->pid(), store.port, "127.0.0.1");
  }
  if (!workspace.compose || !workspace.api) return false;
  if (store.port == 0) return true;  // it publishes nothing: no other can be met by it
  const auto published = published_on(workspace, limits);
  const auto found = published.find(store.port);
  return found != published.end() && found->second.ours;
}

void plan_ports(Workspace& workspace, const Agree& agree, const Limits& limits) {
  workspace.ports = workspace.backend == Backend::docker ? docker_ports(workspace) : local_ports(workspace);
  find_holders(workspace, limits);
  // Which ports are its own containers' only the engine can tell: without it none is anybody's to move.
  if (workspace.engine_failure) return;
  std::set<std::uint16_t> taken;
  for (const auto& plan : workspace.ports) taken.insert(plan.port);
  for (auto& plan : workspace.ports) {
    if ((!plan.holder && plan.holder_container.empty()) || plan.orphan) continue;
    if (workspace.backend == Backend::docker && plan.variable.empty()) continue;  // written in the compose file: only a person can
    const auto to = free_port(static_cast<std::uint16_t>(plan.port + 1), taken);
    if (to == 0) continue;
    taken.insert(to);
    auto& store = plan.store == Store::postgres ? workspace.postgres : workspace.redis;
    Move wanted{plan.store, {}, plan.port, {}, to, plan.variable};
    move(workspace, wanted, &plan, fmt::format("Port {} is taken by {}.", plan.port, who(plan)), agree);
    if (plan.moved_to == 0 || plan.store == Store::none) continue;
    if (store.port == plan.port) store.port = to;
    note_unmoved(workspace, plan);
  }
  if (workspace.backend == Backend::local) {
    point_here(workspace, workspace.postgres, agree);
    point_here(workspace, workspace.redis, agree);
  }
}

}  // namespace codops::ops::dev
