#include "lib/ops/service_networks.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/engine/docker/create_body.hpp"
#include "lib/ops/service_role.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using compose::Project;
using compose::Service;
using release::Role;

// By other projects, on a network that is not this one's, and by what keeps data and is no database (Keycloak, Prometheus).
bool is_asked_on(const Project& project, const std::string& key, const settings::Environment& environment) {
  const auto network = project.networks.find(key);
  if (network != project.networks.end() && network->second.external) return true;
  const auto& stateful = environment.stateful;
  return std::any_of(project.services.begin(), project.services.end(), [&](const auto& entry) {
    const auto& [name, service] = entry;
    return service.networks.contains(key) && std::find(stateful.begin(), stateful.end(), name) != stateful.end() &&
           !is_known_database(engine::docker::image_of(project, service));
  });
}

Json labels_with(Json labels, const std::string& project, const char* kind, const std::string& key) {
  if (!labels.is_object()) labels = Json::object();
  labels["com.docker.compose.project"] = project;
  labels[kind] = key;
  return labels;
}

}  // namespace

const std::string& network_name(const Project& project, const std::string& key) {
  const auto network = project.networks.find(key);
  return network == project.networks.end() ? key : network->second.name;
}

std::vector<std::string> asked_networks(const Project& project, const Service& service, Role role, const settings::Environment& environment) {
  std::vector<std::string> asked;
  if (role != Role::stateless || !service.network_mode.empty()) return asked;
  for (const auto& [key, attachment] : service.networks) {
    if (is_asked_on(project, key, environment)) asked.push_back(key);
  }
  return asked;
}

std::string network_endpoints(const Project& project, const Service& service, Role role, const std::vector<std::string>& asked) {
  auto json = Json::object();
  if (!service.network_mode.empty()) return json.dump();
  for (const auto& [key, attachment] : service.networks) {
    auto& endpoint = json[network_name(project, key)] = Json::object();
    // An endpoint's names can't be changed while it is connected. On the traffic network a rolling service gets them when it is ready;
    // callers who are on both ask this one first.
    if (role != Role::stateless || std::find(asked.begin(), asked.end(), key) != asked.end()) {
      auto aliases = attachment.aliases;
      aliases.push_back(service.name);
      endpoint["Aliases"] = aliases;
      if (role != Role::stateless && !attachment.ipv4_address.empty()) endpoint["IPAMConfig"]["IPv4Address"] = attachment.ipv4_address;
    }
  }
  return json.dump();
}

std::vector<std::string> aliases_of(const Service& service) {
  std::set<std::string> aliases;
  for (const auto& [name, network] : service.networks) aliases.insert(network.aliases.begin(), network.aliases.end());
  return {aliases.begin(), aliases.end()};
}

std::vector<NamedObject> wanted_networks(const Project& project) {
  std::vector<NamedObject> networks;
  for (const auto& [key, network] : project.networks) {
    Json body{{"Driver", network.driver.empty() ? "bridge" : network.driver}, {"Internal", network.internal}, {"Attachable", network.attachable}};
    if (network.enable_ipv6) body["EnableIPv6"] = *network.enable_ipv6;
    if (!network.pools.empty() && !network.pools.front().subnet.empty()) {
      body["Subnet"] = network.pools.front().subnet;
      if (!network.pools.front().gateway.empty()) body["Gateway"] = network.pools.front().gateway;
    }
    if (!network.driver_opts.empty()) body["Options"] = network.driver_opts;
    body["Labels"] = labels_with(network.labels, project.name, "com.docker.compose.network", key);
    networks.push_back({network.name, body.dump(), network.external});
  }
  return networks;
}

std::vector<NamedObject> wanted_volumes(const Project& project) {
  std::vector<NamedObject> volumes;
  for (const auto& [key, volume] : project.volumes) {
    Json body{{"Driver", volume.driver.empty() ? "local" : volume.driver}, {"Labels", labels_with(volume.labels, project.name, "com.docker.compose.volume", key)}};
    if (!volume.driver_opts.empty()) body["DriverOpts"] = volume.driver_opts;
    volumes.push_back({volume.name, body.dump(), volume.external});
  }
  return volumes;
}

}  // namespace codops::ops
