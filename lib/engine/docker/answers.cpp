#include "lib/engine/docker/answers.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"

namespace codops::engine::docker {
namespace {

using nlohmann::json;

std::string without_slash(std::string name) {
  if (name.starts_with('/')) name.erase(0, 1);
  return name;
}

std::uint16_t port_number(std::string_view text) {
  std::uint16_t port = 0;
  std::from_chars(text.data(), text.data() + text.size(), port);
  return port;
}

// {"80/tcp": {}} → 80
std::vector<std::uint16_t> tcp_ports(const json& ports) {
  std::vector<std::uint16_t> numbers;
  if (!ports.is_object()) return numbers;
  for (const auto& [key, unused] : ports.items()) {
    if (key.ends_with("/tcp") || key.find('/') == std::string::npos) numbers.push_back(port_number(key));
  }
  return numbers;
}

std::vector<PublishedPort> published_ports(const json& ports) {
  std::vector<PublishedPort> published;
  if (!ports.is_object()) return published;
  for (const auto& [key, bindings] : ports.items()) {
    if (!bindings.is_array()) continue;
    const auto slash = key.find('/');
    for (const auto& binding : bindings) {
      published.push_back({port_number(key), slash == std::string::npos ? "tcp" : key.substr(slash + 1),
                           text_at(binding, {"HostIp"}), port_number(text_at(binding, {"HostPort"}))});
    }
  }
  return published;
}

NetworkAttachment attachment(const json& value) {
  NetworkAttachment result;
  result.network_id = text_at(value, {"NetworkID"});
  result.address = text_at(value, {"IPAddress"});
  result.gateway = text_at(value, {"Gateway"});
  result.mac = text_at(value, {"MacAddress"});
  result.configured_address = text_at(value, {"IPAMConfig", "IPv4Address"});
  result.aliases = texts_at(value, {"Aliases"});
  return result;
}

std::vector<HealthProbe> health_probes(const json& log) {
  std::vector<HealthProbe> probes;
  if (!log.is_array()) return probes;
  for (const auto& entry : log) {
    probes.push_back({time_at(entry, {"Start"}), time_at(entry, {"End"}),
                      static_cast<int>(number_at(entry, {"ExitCode"})), text_at(entry, {"Output"})});
  }
  return probes;
}

}  // namespace

RunState run_state(std::string_view state) {
  if (state == "running") return RunState::running;
  if (state == "paused") return RunState::paused;
  if (state == "restarting") return RunState::restarting;
  if (state == "exited") return RunState::exited;
  if (state == "dead" || state == "removing") return RunState::dead;
  return RunState::created;
}

HealthState health_state(std::string_view health) {
  if (health == "healthy") return HealthState::healthy;
  if (health == "unhealthy") return HealthState::unhealthy;
  if (health == "starting") return HealthState::starting;
  return HealthState::none;
}

HealthState health_in_status(std::string_view status) {
  if (status.ends_with("(healthy)")) return HealthState::healthy;
  if (status.ends_with("(unhealthy)")) return HealthState::unhealthy;
  if (status.ends_with("(health: starting)")) return HealthState::starting;
  return HealthState::none;
}

ContainerSummary container_summary(const json& value) {
  ContainerSummary summary;
  summary.id = text_at(value, {"Id"});
  // A container that others link to has a name per link; its own has one slash.
  for (const auto& name : texts_at(value, {"Names"})) {
    if (name.rfind('/') == 0) summary.name = without_slash(name);
  }
  summary.image = text_at(value, {"Image"});
  summary.image_id = text_at(value, {"ImageID"});
  summary.state = run_state(text_at(value, {"State"}));
  summary.status = text_at(value, {"Status"});
  summary.health = health_in_status(summary.status);
  summary.created = number_at(value, {"Created"});
  summary.labels = texts_by_name_at(value, {"Labels"});
  const auto& ports = field(value, {"Ports"});
  for (const auto& port : ports.is_array() ? ports : json::array()) {
    const auto published = number_at(port, {"PublicPort"});
    if (published > 0 && text_at(port, {"Type"}) == "tcp") summary.published.push_back(static_cast<std::uint16_t>(published));
  }
  const auto& networks = field(value, {"NetworkSettings", "Networks"});
  if (networks.is_object()) {
    for (const auto& [name, network] : networks.items()) {
      if (auto address = text_at(network, {"IPAddress"}); !address.empty()) summary.addresses[name] = std::move(address);
    }
  }
  return summary;
}

std::map<std::string, std::string> resource_limits(const json& host) {
  std::map<std::string, std::string> limits;
  for (const char* name : {"Memory", "MemoryReservation", "MemorySwap", "NanoCpus", "PidsLimit", "CpuShares", "CpuQuota", "CpuPeriod", "BlkioWeight"}) {
    const auto value = number_at(host, {name});
    if (value > 0) limits[name] = std::to_string(value);
  }
  for (const char* name : {"CpusetCpus", "CpusetMems"}) {
    if (auto value = text_at(host, {name}); !value.empty()) limits[name] = std::move(value);
  }
  // Left open, the engine makes it twice the memory.
  const auto memory = number_at(host, {"Memory"});
  if (memory > 0 && number_at(host, {"MemorySwap"}) == 2 * memory) limits.erase("MemorySwap");
  return limits;
}

ContainerDetails container_details(json value) {
  ContainerDetails details;
  details.id = text_at(value, {"Id"});
  details.name = without_slash(text_at(value, {"Name"}));
  details.image = text_at(value, {"Config", "Image"});
  details.image_id = text_at(value, {"Image"});
  const auto& state = field(value, {"State"});
  details.state = run_state(text_at(state, {"Status"}));
  details.health = health_state(text_at(state, {"Health", "Status"}));
  details.failing_streak = static_cast<int>(number_at(state, {"Health", "FailingStreak"}));
  details.probes = health_probes(field(state, {"Health", "Log"}));
  details.exit_code = static_cast<int>(number_at(state, {"ExitCode"}));
  details.oom_killed = flag_at(state, {"OOMKilled"});
  details.error = text_at(state, {"Error"});
  details.pid = static_cast<int>(number_at(state, {"Pid"}));
  details.started = time_at(state, {"StartedAt"});
  details.finished = time_at(state, {"FinishedAt"});
  details.created = time_at(value, {"Created"});
  details.restart_count = static_cast<int>(number_at(value, {"RestartCount"}));
  details.restart_policy = text_at(value, {"HostConfig", "RestartPolicy", "Name"});
  details.limits = resource_limits(field(value, {"HostConfig"}));
  details.network_mode = text_at(value, {"HostConfig", "NetworkMode"});
  details.tty = flag_at(value, {"Config", "Tty"});
  details.labels = texts_by_name_at(value, {"Config", "Labels"});
  details.env = texts_at(value, {"Config", "Env"});
  const auto& networks = field(value, {"NetworkSettings", "Networks"});
  if (networks.is_object()) {
    for (const auto& [name, network] : networks.items()) details.networks.emplace(name, attachment(network));
  }
  const auto& mounts = field(value, {"Mounts"});
  if (mounts.is_array()) {
    for (const auto& mount : mounts) {
      details.mounts.push_back({text_at(mount, {"Type"}), text_at(mount, {"Name"}), text_at(mount, {"Source"}),
                                text_at(mount, {"Destination"}), flag_at(mount, {"RW"})});
    }
  }
  // While it runs the engine says what it bound; before that, only what was asked for.
  const auto& bound = field(value, {"NetworkSettings", "Ports"});
  const bool is_bound = bound.is_object() && !bound.empty();
  details.ports = published_ports(is_bound ? bound : field(value, {"HostConfig", "PortBindings"}));
  details.exposed = tcp_ports(field(value, {"Config", "ExposedPorts"}));
  details.raw = std::make_shared<const json>(std::move(value));
  return details;
}

NetworkDetails network_details(const json& value) {
  NetworkDetails details;
  details.id = text_at(value, {"Id"});
  details.name = text_at(value, {"Name"});
  details.driver = text_at(value, {"Driver"});
  details.scope = text_at(value, {"Scope"});
  details.internal = flag_at(value, {"Internal"});
  details.attachable = flag_at(value, {"Attachable"});
  details.enable_ipv6 = flag_at(value, {"EnableIPv6"});
  details.labels = texts_by_name_at(value, {"Labels"});
  details.options = texts_by_name_at(value, {"Options"});
  const auto& ranges = field(value, {"IPAM", "Config"});
  if (ranges.is_array()) {
    for (const auto& range : ranges) {
      const auto subnet = text_at(range, {"Subnet"});
      if (subnet.find(':') != std::string::npos || !details.subnet.empty()) continue;
      details.subnet = subnet;
      details.gateway = text_at(range, {"Gateway"});
    }
  }
  const auto& containers = field(value, {"Containers"});
  if (containers.is_object()) {
    for (const auto& [id, endpoint] : containers.items()) {
      const auto address = text_at(endpoint, {"IPv4Address"});
      details.containers.emplace(id, address.substr(0, address.find('/')));
    }
  }
  return details;
}

VolumeDetails volume_details(const json& value) {
  return {text_at(value, {"Name"}), text_at(value, {"Driver"}), text_at(value, {"Mountpoint"}),
          texts_by_name_at(value, {"Labels"}), texts_by_name_at(value, {"Options"})};
}

ImageDetails image_details(json value) {
  ImageDetails details;
  details.id = text_at(value, {"Id"});
  details.tags = texts_at(value, {"RepoTags"});
  details.digests = texts_at(value, {"RepoDigests"});
  details.architecture = text_at(value, {"Architecture"});
  details.os = text_at(value, {"Os"});
  details.size = static_cast<std::uint64_t>(number_at(value, {"Size"}));
  details.created = time_at(value, {"Created"});
  const auto& config = field(value, {"Config"});
  details.cmd = texts_at(config, {"Cmd"});
  details.entrypoint = texts_at(config, {"Entrypoint"});
  details.env = texts_at(config, {"Env"});
  details.user = text_at(config, {"User"});
  details.workdir = text_at(config, {"WorkingDir"});
  details.labels = texts_by_name_at(config, {"Labels"});
  details.exposed = tcp_ports(field(config, {"ExposedPorts"}));
  const auto test = texts_at(config, {"Healthcheck", "Test"});
  details.has_healthcheck = !test.empty() && test.front() != "NONE";
  details.raw = std::make_shared<const json>(std::move(value));
  return details;
}

ImageSummary image_summary(const json& value) {
  ImageSummary summary;
  summary.id = text_at(value, {"Id"});
  summary.tags = texts_at(value, {"RepoTags"});
  summary.digests = texts_at(value, {"RepoDigests"});
  summary.size = static_cast<std::uint64_t>(number_at(value, {"Size"}));
  summary.created = number_at(value, {"Created"});
  summary.labels = texts_by_name_at(value, {"Labels"});
  std::erase(summary.tags, "<none>:<none>");
  return summary;
}

DistributionInfo distribution_info(const json& value) {
  DistributionInfo info;
  info.digest = text_at(value, {"Descriptor", "digest"});
  info.size = static_cast<std::uint64_t>(number_at(value, {"Descriptor", "size"}));
  const auto& platforms = field(value, {"Platforms"});
  if (platforms.is_array()) {
    for (const auto& platform : platforms) {
      auto text = text_at(platform, {"os"}) + "/" + text_at(platform, {"architecture"});
      if (const auto variant = text_at(platform, {"variant"}); !variant.empty()) text += "/" + variant;
      info.platforms.push_back(std::move(text));
    }
  }
  return info;
}

EngineEvent engine_event(const json& value) {
  EngineEvent event;
  event.type = text_at(value, {"Type"});
  event.action = text_at(value, {"Action"});
  event.id = text_at(value, {"Actor", "ID"});
  event.attributes = texts_by_name_at(value, {"Actor", "Attributes"});
  event.time_nano = number_at(value, {"timeNano"});
  return event;
}

}  // namespace codops::engine::docker
