#include "lib/ops/observe.hpp"

#include <fmt/format.h>

#include "lib/engine/docker/api.hpp"

namespace codops::ops {
namespace {

using engine::docker::ContainerDetails;

constexpr const char* throwaway_suffix = "_codops_probe";

ObservedContainer observed_from(const ContainerDetails& details) {
  ObservedContainer container;
  container.id = details.id;
  container.name = details.name;
  if (const auto found = details.labels.find("com.docker.compose.service"); found != details.labels.end()) {
    container.service = found->second;
  }
  container.image = details.image;
  container.image_id = details.image_id;
  container.state = details.state;
  container.health = details.health;
  container.labels = details.labels;
  for (const auto& [name, attachment] : details.networks) {
    container.addresses[name] = attachment.configured_address.empty() ? attachment.address : attachment.configured_address;
  }
  container.restart_policy = details.restart_policy;
  container.exit_code = details.exit_code;
  container.oom_killed = details.oom_killed;
  container.restart_count = details.restart_count;
  container.created = details.created.value_or(WallTime{});
  container.started = details.started.value_or(WallTime{});
  container.finished = details.finished.value_or(WallTime{});
  for (const auto& port : details.ports) {
    container.ports.push_back(fmt::format("{}:{}->{}/{}", port.host_ip, port.host_port, port.container_port, port.protocol));
  }
  return container;
}

}  // namespace

std::string traffic_network_name(const std::string& project) { return project + "_codops"; }

Observed observe(engine::docker::Api& api, release::ReleaseStore& store, const std::string& project, const Limits& limits) {
  Observed observed;
  const std::string of_project = "com.docker.compose.project=" + project;
  for (const auto& summary : api.containers({{"label", {of_project, "com.docker.compose.oneoff=False"}}}, true, limits)) {
    if (const auto details = api.find_container(summary.id, limits)) observed.containers.push_back(observed_from(*details));
  }
  observed.traffic.name = traffic_network_name(project);
  for (const auto& network : api.networks({}, limits)) {
    observed.networks.push_back(network.name);
    if (network.name == observed.traffic.name) {
      observed.traffic.exists = true;
      observed.traffic.subnet = network.subnet;
    }
  }
  for (const auto& volume : api.volumes({}, limits)) observed.volumes.push_back(volume.name);
  observed.snapshot = store.load(limits);
  observed.now = api.client().engine_now().value_or(WallTime{});
  return observed;
}

std::string free_subnet(engine::docker::Api& api, const std::string& project, const std::string& token, const Limits& limits) {
  const auto name = project + throwaway_suffix;
  api.remove_network(name, limits);  // of a run that died between the two calls
  engine::docker::NetworkSpec spec;
  spec.name = name;
  spec.internal = true;
  spec.labels = {{label_token, token}};
  api.create_network(spec, limits);
  const auto network = api.find_network(name, limits);
  api.remove_network(name, limits);
  if (!network || network->subnet.empty()) throw Failure{Exit::failed, "the engine gave a network without an IPv4 subnet"};
  return network->subnet;
}

}  // namespace codops::ops
