// Networks and volumes of the development stack, labelled as docker compose labels them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/containers.hpp"
#include "lib/ops/dev/containers.hpp"

namespace codops::ops::dev {
namespace {

using scaffold::dev::Finding;

nlohmann::json compose_labels(const Workspace& workspace, const char* kind, const std::string& key, const std::map<std::string, std::string>& own) {
  nlohmann::json labels = own;
  if (!labels.is_object()) labels = nlohmann::json::object();
  labels["com.docker.compose.project"] = workspace.compose->name;
  labels[std::string{"com.docker.compose."} + kind] = key;
  return labels;
}

void make_network(const Workspace& workspace, const std::string& key, const compose::Network& wanted, const Limits& limits) {
  if (wanted.external) throw Failure{Exit::config, fmt::format("the network \"{}\" is external and does not exist", wanted.name), "docker network create " + wanted.name};
  nlohmann::json body{{"Name", wanted.name}, {"CheckDuplicate", true}, {"Driver", wanted.driver.empty() ? "bridge" : wanted.driver}, {"Internal", wanted.internal}, {"Attachable", wanted.attachable},
                      {"Labels", compose_labels(workspace, "network", key, wanted.labels)}};
  if (wanted.enable_ipv6) body["EnableIPv6"] = *wanted.enable_ipv6;
  if (!wanted.driver_opts.empty()) body["Options"] = wanted.driver_opts;
  for (const auto& pool : wanted.pools) {
    if (pool.subnet.empty()) continue;
    nlohmann::json range{{"Subnet", pool.subnet}};
    if (!pool.gateway.empty()) range["Gateway"] = pool.gateway;
    body["IPAM"]["Config"].push_back(std::move(range));
  }
  workspace.api->create_network(body, limits);
}

void make_volume(const Workspace& workspace, const std::string& key, const compose::Volume& wanted, const Limits& limits) {
  if (wanted.external) throw Failure{Exit::config, fmt::format("the volume \"{}\" is external and does not exist", wanted.name), "docker volume create " + wanted.name};
  nlohmann::json body{{"Name", wanted.name}, {"Driver", wanted.driver.empty() ? "local" : wanted.driver}, {"Labels", compose_labels(workspace, "volume", key, wanted.labels)}};
  if (!wanted.driver_opts.empty()) body["DriverOpts"] = wanted.driver_opts;
  workspace.api->create_volume(body, limits);
}

std::size_t count_named(const std::vector<engine::docker::NetworkDetails>& networks, const std::string& name) {
  return static_cast<std::size_t>(std::count_if(networks.begin(), networks.end(), [&](const auto& one) { return one.name == name; }));
}

// All but one of that name are removed: the one that containers are on stays, else the first by id, for everyone who asks.
bool merge_twins(const Workspace& workspace, const std::string& name, const Limits& limits) {
  std::vector<std::string> ids;
  for (const auto& one : workspace.api->networks({{"name", {name}}}, limits)) {
    const auto owner = one.labels.find(std::string{engine::docker::compose_project_label});
    if (one.name == name && owner != one.labels.end() && owner->second == workspace.compose->name) ids.push_back(one.id);
  }
  if (ids.size() < 2) return false;
  std::sort(ids.begin(), ids.end());
  const auto in_use = std::find_if(ids.begin(), ids.end(), [&](const std::string& id) {
    const auto network = workspace.api->find_network(id, limits);
    return network && !network->containers.empty();
  });
  const auto kept = in_use == ids.end() ? ids.front() : *in_use;
  for (const auto& id : ids) {
    if (id != kept) workspace.api->remove_network(id, limits);
  }
  return true;
}

}  // namespace

bool merge_twin_networks(const Workspace& workspace, const Limits& limits) {
  bool merged = false;
  for (const auto& [key, network] : workspace.compose->networks) merged = merge_twins(workspace, network.name, limits) || merged;
  return merged;
}

Finding look_at_networks(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> missing, twice;
  const auto there = workspace.api->networks({}, limits);
  for (const auto& [key, network] : workspace.compose->networks) {
    const auto count = count_named(there, network.name);
    if (count == 0) missing.push_back(network.name);
    if (count > 1) twice.push_back(network.name);
  }
  for (const auto& [key, volume] : workspace.compose->volumes) {
    if (!workspace.api->find_volume(volume.name, limits)) missing.push_back(volume.name);
  }
  const auto count = workspace.compose->networks.size() + workspace.compose->volumes.size();
  if (!missing.empty()) return {false, fmt::format("{} is missing", fmt::join(missing, ", ")), {}, {}};
  if (!twice.empty()) return {false, fmt::format("{} is there twice", fmt::join(twice, ", ")), {}, {}};
  return {true, fmt::format("{} networks and volumes", count), {}, {}};
}

std::string make_networks(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> made;
  for (const auto& [key, network] : workspace.compose->networks) {
    if (count_named(workspace.api->networks({{"name", {network.name}}}, limits), network.name) != 0) continue;
    make_network(workspace, key, network, limits);
    made.push_back(network.name);
  }
  for (const auto& [key, volume] : workspace.compose->volumes) {
    if (workspace.api->find_volume(volume.name, limits)) continue;
    make_volume(workspace, key, volume, limits);
    made.push_back(volume.name);
  }
  const bool merged = merge_twin_networks(workspace, limits);
  return made.empty() ? std::string{merged ? "removed the second of two networks" : "all are there"} : fmt::format("made {}", fmt::join(made, ", "));
}

std::vector<std::string> volumes_of(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> found;
  for (const auto& [key, volume] : workspace.compose->volumes) {
    if (volume.external) continue;
    const auto there = workspace.api->find_volume(volume.name, limits);
    // One of that name that nobody made for this project stays.
    if (!there || there->labels.count("com.docker.compose.project") == 0 || there->labels.at("com.docker.compose.project") != workspace.compose->name) continue;
    found.push_back(volume.name);
  }
  // Those of a profile that is not chosen now, too.
  for (const auto& one : workspace.api->volumes({{"label", {"com.docker.compose.project=" + workspace.compose->name}}}, limits)) {
    const bool external = std::any_of(workspace.compose->volumes.begin(), workspace.compose->volumes.end(), [&](const auto& known) { return known.second.external && known.second.name == one.name; });
    if (!external && std::find(found.begin(), found.end(), one.name) == found.end()) found.push_back(one.name);
  }
  return found;
}

}  // namespace codops::ops::dev
