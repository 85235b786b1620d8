#include "lib/ops/members.hpp"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/io/tar.hpp"
#include "lib/ops/carried_volumes.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/ops/proxy.hpp"
#include "lib/ops/sole_writer.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using engine::docker::ApiError;
using release::Member;
using release::Role;
using release::ServiceRecord;

constexpr std::size_t looks_at_once = 8;

struct RestartPolicy {
  std::string name;
  int retries{0};
};

RestartPolicy parse_policy(const std::string& text) {
  const auto colon = text.find(':');
  RestartPolicy policy{text.substr(0, colon), 0};
  if (colon != std::string::npos) std::from_chars(text.data() + colon + 1, text.data() + text.size(), policy.retries);
  if (policy.name.empty()) policy.name = "no";
  return policy;
}

Json labels_of(const RunContext& context, const ServiceRecord& service, const Member& member, Json labels) {
  if (!labels.is_object()) labels = Json::object();
  // Compose's five, so that `docker compose ps/logs/down` see what codops made.
  labels["com.docker.compose.project"] = context.project;
  labels["com.docker.compose.service"] = service.name;
  labels["com.docker.compose.oneoff"] = "False";
  labels["com.docker.compose.container-number"] = std::to_string(member.number);
  labels["com.docker.compose.config-hash"] = service.hash;
  labels[label_environment] = context.environment;
  labels[label_release] = std::to_string(service.set);
  labels[label_version] = context.next.version;
  labels[label_hash] = service.hash;
  labels[label_role] = to_string(service.role);
  labels[label_token] = context.token;
  labels[label_container] = member.container;
  return labels;
}

// The tag where it still names the pinned image, which is what people want to read in `docker ps`; else the id.
std::string image_name_for(RunContext& context, const ServiceRecord& service, const Limits& limits) {
  const auto image = context.api.find_image(service.image, limits);
  return image && image->id == service.image_id ? service.image : service.image_id;
}

}  // namespace

bool rolls(Role role) { return role == Role::stateless; }

engine::docker::EndpointSpec endpoint_from(const Json& endpoint) {
  engine::docker::EndpointSpec spec;
  if (endpoint.contains("Aliases") && endpoint.at("Aliases").is_array()) spec.aliases = endpoint.at("Aliases");
  if (endpoint.contains("IPAMConfig")) spec.address = endpoint.at("IPAMConfig").value("IPv4Address", "");
  return spec;
}

void rejoin(RunContext& context, const ServiceRecord& service, const engine::docker::ContainerDetails& container, const Limits& limits) {
  const auto networks = service.networks.empty() ? Json::object() : Json::parse(service.networks);
  for (const auto& [name, endpoint] : networks.items()) {
    if (container.networks.count(name) != 0) continue;
    context.require_lock();
    context.api.connect_network(name, container.name, endpoint_from(endpoint), limits);
    context.reporter.note(fmt::format("{} had been taken off the network {}: it is on it again", container.name, name));
  }
}

std::string policy_name(const std::string& text) { return text.empty() ? "no" : text.substr(0, text.find(':')); }

void keep_running(RunContext& context, const ServiceRecord& service, const Member& member, const Limits& limits) {
  context.require_lock();
  const auto policy = parse_policy(service.restart);
  context.api.set_restart_policy(member.container, policy.name, policy.retries, limits);
}

std::optional<engine::docker::ContainerDetails> find_member(RunContext& context, const std::string& name, const Limits& limits) {
  if (auto found = context.api.find_container(name, limits)) return found;
  for (const auto& other : context.api.containers({{"label", {fmt::format("{}={}", label_container, name)}}}, true, limits)) {
    context.require_lock();
    context.api.rename_container(other.id, name, limits);
    context.reporter.note(fmt::format("{} had been renamed to {}: it has its name again", name, other.name));
    return context.api.find_container(name, limits);
  }
  return std::nullopt;
}

void put_files(RunContext& context, const std::string& container, const std::vector<release::FileRef>& files, const Limits& limits, const std::vector<std::string>& folders) {
  std::vector<io::TarEntry> entries;
  for (const auto& folder : folders) entries.push_back({.path = folder.substr(folder.find_first_not_of('/')), .mode = 0755, .kind = io::TarEntry::Kind::directory});
  for (const auto& file : files) {
    if (file.mounted) continue;
    entries.push_back(entry_of(file, context.blob(file.sha256, limits)));
  }
  if (entries.empty()) return;
  context.api.put_archive(container, "/", io::write_tar(entries), limits);
}

void make_member(RunContext& context, const ServiceRecord& service, const Member& member, const Limits& limits) {
  context.require_lock();
  if (const auto existing = find_member(context, member.container, limits)) {
    const auto label = existing->labels.find(label_environment);
    if (label == existing->labels.end() || label->second != context.environment) {
      throw Failure{Exit::failed, fmt::format("the name \"{}\" is taken by a container that codops did not make", member.container),
                    "docker rm " + member.container};
    }
    remove_member(context, member.container, limits);
  }
  const auto spec = context.specs.find(service.name);
  if (spec == context.specs.end()) {
    throw Failure{Exit::data, fmt::format("no definition of \"{}\" is stored with release {}", service.name, context.next.number),
                  "deploy the version again"};
  }
  auto body = Json::parse(spec->second.reveal());
  body["Image"] = image_name_for(context, service, limits);
  body["Labels"] = labels_of(context, service, member, body.value("Labels", Json::object()));
  add_mounts(body, service.files, context.api, context.project, limits);
  carry_volumes(context, service, member, body, limits);
  const auto networks = service.networks.empty() ? Json::object() : Json::parse(service.networks);
  // Before API 1.44 a container is created on one network at most; the others are connected before it starts.
  bool first = true;
  for (const auto& [name, endpoint] : networks.items()) {
    if (!first) break;
    body["HostConfig"]["NetworkMode"] = name;
    body["NetworkingConfig"]["EndpointsConfig"][name] = endpoint;
    first = false;
  }
  {
    const EngineTime timed{context, "create"};
    context.api.create_container(member.container, body, limits);
  }
  first = true;
  for (const auto& [name, endpoint] : networks.items()) {
    if (!first) {
      context.api.connect_network(name, member.container, endpoint_from(endpoint), limits);
    }
    first = false;
  }
  put_files(context, member.container, service.files, limits);
  // A new proxy starts with the upstreams of its own release: there is no old set that it could lead to.
  if (service.role == Role::proxy && !context.proxy.upstreams.empty()) put_upstreams(context, member.container, context.next.upstreams, limits);
  if (!rolls(service.role)) join_traffic(context, service, member, limits);
}

namespace {

// A network that was removed and made again has another identity: a container that was stopped meanwhile still asks for the old one.
void rehome(RunContext& context, const engine::docker::ContainerDetails& details, const Limits& limits) {
  for (const auto& [name, attachment] : details.networks) {
    const auto network = context.api.find_network(name, limits);
    if (!network) throw Failure{Exit::failed, fmt::format("the network {} of {} was removed", name, details.name), fmt::format("codops deploy {} VERSION makes it again", context.environment)};
    if (network->id == attachment.network_id) continue;
    context.api.disconnect_network(name, details.name, true, limits);
    context.api.connect_network(name, details.name, {attachment.configured_address, attachment.aliases}, limits);
  }
}

void start_wherever(RunContext& context, const engine::docker::ContainerDetails& details, const Limits& limits) {
  try {
    context.api.start_container(details.name, limits);
  } catch (const engine::docker::ApiError& error) {
    if (!error.not_found() || std::string_view{error.what()}.find("network") == std::string_view::npos) throw;
    rehome(context, context.api.inspect_container(details.name, limits), limits);
    context.api.start_container(details.name, limits);
  }
}

}  // namespace

void require_alone(RunContext& context, const ServiceRecord& service, const engine::docker::ContainerDetails& details, const Limits& limits) {
  if (service.role != Role::stateful) return;
  DataServer server{context.project, service.name, {}, {details.name}};
  for (const auto& mount : details.mounts) {
    if (mount.type == "volume" || mount.type == "bind") server.mounts.push_back({mount.type == "volume" ? mount.name : mount.source, mount.destination, mount.type == "volume", mount.writable});
  }
  require_sole_writer(context.api, server, context.next, limits);
}

void start_member(RunContext& context, const ServiceRecord& service, const Member& member, const Limits& limits) {
  context.require_lock();
  const auto details = context.api.inspect_container(member.container, limits);
  if (details.state == target::RunState::paused) return context.api.unpause_container(member.container, limits);
  if (details.state == target::RunState::running) {
    context.restarts_before[member.container] = details.restart_count;
    return;
  }
  if (rolls(service.role) && details.networks.count(context.traffic.name) != 0) {
    // Kept from before: its name must not lead callers to a container that still boots.
    context.api.disconnect_network(context.traffic.name, member.container, true, limits);
  }
  const auto policy = parse_policy(service.restart);
  if (details.restart_policy != policy.name) context.api.set_restart_policy(member.container, policy.name, policy.retries, limits);
  if (!rolls(service.role)) join_traffic(context, service, member, limits);
  require_alone(context, service, details, limits);
  const EngineTime timed{context, "start"};
  start_wherever(context, details, limits);
}

void join_traffic(RunContext& context, const ServiceRecord& service, const Member& member, const Limits& limits) {
  if (member.address.empty()) return;
  context.require_lock();
  const auto details = context.api.inspect_container(member.container, limits);
  if (const auto joined = details.networks.find(context.traffic.name); joined != details.networks.end()) {
    if (joined->second.configured_address == member.address) return;
    context.api.disconnect_network(context.traffic.name, member.container, true, limits);
  }
  engine::docker::EndpointSpec endpoint;
  endpoint.address = member.address;
  if (rolls(service.role)) {
    endpoint.aliases = service.aliases;
    endpoint.aliases.push_back(service.name);
  }
  const EngineTime timed{context, "join"};
  context.api.connect_network(context.traffic.name, member.container, endpoint, limits);
}

std::size_t stop_members(RunContext& context, const std::vector<Leaving>& members, const Limits& limits) {
  context.require_lock();
  std::mutex mutex;
  std::exception_ptr failed;
  std::atomic<std::size_t> there{0};
  const EngineTime timed{context, "stop"};
  std::vector<std::thread> threads;
  for (const auto& member : members) {
    threads.emplace_back([&, member] {
      try {
        const auto details = context.api.find_container(member.container, limits);
        if (!details) return;
        ++there;
        context.api.set_restart_policy(member.container, "no", 0, limits);
        context.api.stop_container(member.container, std::chrono::seconds{member.grace_seconds},
                                   limits.within(std::chrono::seconds{member.grace_seconds + 30}));
        if (details->networks.count(context.traffic.name) != 0) {
          context.api.disconnect_network(context.traffic.name, member.container, true, limits);
        }
      } catch (...) {
        const std::lock_guard guard{mutex};
        if (!failed) failed = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (failed) std::rethrow_exception(failed);
  return there;
}

void require_reachable(RunContext& context, const release::Release& release, const Limits& limits) {
  std::vector<const Member*> members;
  for (const auto& service : release.services) {
    if (!rolls(service.role)) continue;
    for (const auto& member : service.members) members.push_back(&member);
  }
  in_parallel(members.size(), looks_at_once, [&](std::size_t index) {
    const auto& member = *members[index];
    const auto details = context.api.find_container(member.container, limits);
    if (!details) throw Failure{Exit::failed, fmt::format("{} was removed by somebody", member.container)};
    if (details->state != target::RunState::running) throw Failure{Exit::failed, fmt::format("{} does not run any more", member.container)};
    if (!member.address.empty() && details->networks.count(context.traffic.name) == 0) {
      throw Failure{Exit::failed, fmt::format("{} was taken off the network {}: no traffic reaches it", member.container, context.traffic.name)};
    }
  });
}

void rest_member(RunContext& context, const std::string& container, const Limits& limits) {
  context.require_lock();
  const auto details = context.api.find_container(container, limits);
  if (!details || details->networks.count(context.traffic.name) == 0) return;
  context.api.disconnect_network(context.traffic.name, container, true, limits);
}

bool stop_under_way(const RunContext& context, const engine::docker::ContainerDetails& details, const std::string& restart) {
  if (details.state != target::RunState::running || details.restart_policy != "no") return false;
  return parse_policy(restart).name != "no" || context.stops_begun.contains(details.name);
}

bool revive_member(RunContext& context, const std::string& container, const std::string& restart, const std::string& address,
                   const std::string& alias, const Limits& limits) {
  context.require_lock();
  auto details = context.api.find_container(container, limits);
  if (!details) return false;
  if (stop_under_way(context, *details, restart)) {
    context.reporter.note(fmt::format("{} was being stopped: it is started anew", container));
    context.api.stop_container(container, std::chrono::seconds{0}, limits);
    details = context.api.inspect_container(container, limits);
  }
  if (details->state == target::RunState::restarting) {  // it waits for the engine's next try, which a start does not hasten
    context.api.stop_container(container, std::chrono::seconds{0}, limits);
    details = context.api.inspect_container(container, limits);
  }
  const auto policy = parse_policy(restart);
  if (details->restart_policy != policy.name) context.api.set_restart_policy(container, policy.name, policy.retries, limits);
  if (!address.empty() && details->networks.count(context.traffic.name) == 0) {
    engine::docker::EndpointSpec endpoint{address, {}};
    if (!alias.empty()) endpoint.aliases = {alias};
    context.api.connect_network(context.traffic.name, container, endpoint, limits);
  }
  if (details->state == target::RunState::running) return false;
  if (details->state == target::RunState::paused) {
    context.api.unpause_container(container, limits);
    return true;
  }
  start_wherever(context, *details, limits);
  context.revived.insert(container);
  return true;
}

void remove_member(RunContext& context, const std::string& container, const Limits& limits) {
  context.require_lock();
  context.api.remove_container(container, true, true, limits);
}

}  // namespace codops::ops
