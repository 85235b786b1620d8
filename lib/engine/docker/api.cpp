// The engine itself, networks and volumes.
#include "lib/engine/docker/api.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/answers.hpp"
#include "lib/engine/docker/filters.hpp"
#include "lib/engine/json_fields.hpp"

namespace codops::engine::docker {

using nlohmann::json;

std::string filters_text(const Filters& filters) { return json(filters).dump(); }

Query filters_query(const Filters& filters) {
  if (filters.empty()) return {};
  return {{"filters", filters_text(filters)}};
}

Api::Api(Endpoint endpoint, RegistryAuth auth, Milliseconds patience)
    : client_{std::move(endpoint), patience}, auth_{std::move(auth)} {}

void Api::ping(const Limits& limits) { client_.call({"HEAD", "/_ping"}, limits); }

EngineInfo Api::info(const Limits& limits) {
  const auto value = client_.call_json({"GET", "/info"}, limits);
  EngineInfo info;
  info.api_version = client_.api_version(limits);
  info.podman = client_.is_podman(limits);
  info.version = text_at(value, {"ServerVersion"});
  info.os = text_at(value, {"OSType"});
  info.architecture = text_at(value, {"Architecture"});
  info.id = text_at(value, {"ID"});
  info.name = text_at(value, {"Name"});
  info.root_dir = text_at(value, {"DockerRootDir"});
  info.storage_driver = text_at(value, {"Driver"});
  info.memory_bytes = static_cast<std::uint64_t>(number_at(value, {"MemTotal"}));
  info.cpus = static_cast<int>(number_at(value, {"NCPU"}));
  info.live_restore = flag_at(value, {"LiveRestoreEnabled"});
  info.swarm_active = text_at(value, {"Swarm", "LocalNodeState"}) == "active";
  info.swarm_manager = flag_at(value, {"Swarm", "ControlAvailable"});
  info.warnings = texts_at(value, {"Warnings"});
  return info;
}

DiskUsage Api::disk_usage(const Limits& limits) {
  constexpr Milliseconds slow{120'000};  // the engine walks through its volumes
  const auto value = client_.call_json({.path = "/system/df", .timeout = slow}, limits);
  DiskUsage usage;
  usage.images = static_cast<std::uint64_t>(number_at(value, {"LayersSize"}));
  const auto sum = [&value](std::string_view list, Path size) {
    std::uint64_t total = 0;
    for (const auto& entry : field(value, {list})) total += static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_at(entry, size)));
    return total;
  };
  usage.containers = sum("Containers", {"SizeRw"});
  usage.volumes = sum("Volumes", {"UsageData", "Size"});
  usage.build_cache = sum("BuildCache", {"Size"});
  return usage;
}

std::vector<NetworkDetails> Api::networks(const Filters& filters, const Limits& limits) {
  std::vector<NetworkDetails> found;
  for (const auto& value : client_.call_json({.path = "/networks", .query = filters_query(filters)}, limits)) {
    found.push_back(network_details(value));
  }
  return found;
}

std::string Api::create_network(const NetworkSpec& spec, const Limits& limits) {
  json body{{"Name", spec.name},          {"Driver", spec.driver},   {"Internal", spec.internal},
            {"Attachable", spec.attachable}, {"EnableIPv6", spec.enable_ipv6}, {"CheckDuplicate", true},
            {"Options", spec.options},    {"Labels", spec.labels}};
  if (!spec.subnet.empty()) {
    json range{{"Subnet", spec.subnet}};
    if (!spec.gateway.empty()) range["Gateway"] = spec.gateway;
    if (!spec.ip_range.empty()) range["IPRange"] = spec.ip_range;
    body["IPAM"] = {{"Driver", "default"}, {"Config", json::array({range})}};
  }
  return create_network(body, limits);
}

std::string Api::create_network(const json& body, const Limits& limits) {
  try {
    return text_at(client_.call_json({.method = "POST", .path = "/networks/create", .body = body.dump()}, limits), {"Id"});
  } catch (const ApiError& error) {
    // Engines to 24 and after it; the status is one of many things.
    const bool used_up = error.message().find("IPv4 address pool") != std::string::npos || error.message().find("address pools have been fully subnetted") != std::string::npos;
    if (!used_up) throw;
    throw ApiError{error.status(), error.message(),
                   "the engine has no addresses left for one more network: docker network prune removes those that nobody uses; default-address-pools in its daemon.json gives it more"};
  }
}

std::optional<NetworkDetails> Api::find_network(const std::string& network, const Limits& limits) {
  const auto path = fmt::format("/networks/{}", io::percent_encode(network));
  const auto response = client_.call({.path = path, .expected = {404}}, limits);
  if (response.status == 404) return std::nullopt;
  return network_details(json::parse(response.body, nullptr, false));
}

void Api::connect_network(const std::string& network, const std::string& container, const EndpointSpec& endpoint,
                          const Limits& limits) {
  json config = json::object();
  if (!endpoint.aliases.empty()) config["Aliases"] = endpoint.aliases;
  if (!endpoint.address.empty()) config["IPAMConfig"] = {{"IPv4Address", endpoint.address}};
  const json body{{"Container", container}, {"EndpointConfig", config}};
  client_.call({.method = "POST", .path = fmt::format("/networks/{}/connect", io::percent_encode(network)), .body = body.dump()}, limits);
}

void Api::disconnect_network(const std::string& network, const std::string& container, bool force,
                             const Limits& limits) {
  const json body{{"Container", container}, {"Force", force}};
  client_.call({.method = "POST", .path = fmt::format("/networks/{}/disconnect", io::percent_encode(network)), .body = body.dump()}, limits);
}

void Api::remove_network(const std::string& network, const Limits& limits) {
  client_.call({.method = "DELETE", .path = fmt::format("/networks/{}", io::percent_encode(network)), .idempotent = true, .expected = {404}}, limits);
}

std::vector<VolumeDetails> Api::volumes(const Filters& filters, const Limits& limits) {
  std::vector<VolumeDetails> found;
  const auto answer = client_.call_json({.path = "/volumes", .query = filters_query(filters)}, limits);
  for (const auto& value : field(answer, {"Volumes"})) found.push_back(volume_details(value));
  return found;
}

VolumeDetails Api::create_volume(const VolumeDetails& spec, const Limits& limits) {
  const json body{{"Name", spec.name},
                  {"Driver", spec.driver.empty() ? "local" : spec.driver},
                  {"DriverOpts", spec.options},
                  {"Labels", spec.labels}};
  return create_volume(body, limits);
}

VolumeDetails Api::create_volume(const json& body, const Limits& limits) {
  return volume_details(client_.call_json(
      {.method = "POST", .path = "/volumes/create", .body = body.dump(), .idempotent = true}, limits));
}

std::optional<VolumeDetails> Api::find_volume(const std::string& volume, const Limits& limits) {
  const auto response = client_.call({.path = fmt::format("/volumes/{}", io::percent_encode(volume)), .expected = {404}}, limits);
  if (response.status == 404) return std::nullopt;
  return volume_details(json::parse(response.body, nullptr, false));
}

void Api::remove_volume(const std::string& volume, const Limits& limits) {
  client_.call({.method = "DELETE", .path = fmt::format("/volumes/{}", io::percent_encode(volume)), .idempotent = true, .expected = {404}}, limits);
}

}  // namespace codops::engine::docker
