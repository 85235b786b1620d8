#include "lib/engine/docker/create_body.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace codops::engine::docker {
namespace {

using Json = nlohmann::json;
using compose::Service;

std::int64_t nanoseconds(const std::optional<compose::Duration>& duration) { return duration ? duration->count() : 0; }

void put(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}
void put(Json& object, const char* key, const compose::Texts& value) {
  if (!value.empty()) object[key] = value;
}
void put(Json& object, const char* key, std::int64_t value) {
  if (value != 0) object[key] = value;
}

Json healthcheck_of(const compose::Healthcheck& check) {
  if (check.disable) return {{"Test", {"NONE"}}};
  Json json = Json::object();
  put(json, "Test", check.test);
  put(json, "Interval", nanoseconds(check.interval));
  put(json, "Timeout", nanoseconds(check.timeout));
  put(json, "StartPeriod", nanoseconds(check.start_period));
  put(json, "StartInterval", nanoseconds(check.start_interval));
  if (check.retries) json["Retries"] = *check.retries;
  return json;
}

Json mount_of(const compose::Project& project, const compose::Mount& mount) {
  Json json{{"Type", mount.type}, {"Target", mount.target}, {"ReadOnly", mount.read_only}};
  if (mount.type == "volume" && !mount.source.empty()) {
    const auto volume = project.volumes.find(mount.source);
    json["Source"] = volume == project.volumes.end() ? mount.source : volume->second.name;
    if (mount.no_copy) json["VolumeOptions"]["NoCopy"] = true;
  } else if (mount.type == "bind") {
    json["Source"] = mount.source;
    if (!mount.propagation.empty()) json["BindOptions"]["Propagation"] = mount.propagation;
  } else if (mount.type == "tmpfs") {
    if (mount.tmpfs_size) json["TmpfsOptions"]["SizeBytes"] = *mount.tmpfs_size;
    if (mount.tmpfs_mode) json["TmpfsOptions"]["Mode"] = *mount.tmpfs_mode;
  }
  return json;
}

// A bind with create_host_path is written the old way, which makes the folder on the host as docker compose does.
bool is_old_bind(const compose::Mount& mount) { return mount.type == "bind" && mount.create_host_path; }

std::string bind_text(const compose::Mount& mount) {
  std::string options = mount.read_only ? "ro" : "rw";
  for (const auto& extra : {mount.selinux, mount.propagation}) {
    if (!extra.empty()) options += "," + extra;
  }
  return fmt::format("{}:{}:{}", mount.source, mount.target, options);
}

void put_mounts(Json& host, Json& body, const compose::Project& project, const Service& service, const BodyOptions& options) {
  for (const auto& mount : service.volumes) {
    if (options.left_out_mounts.count(mount.target) != 0) continue;
    if (is_old_bind(mount)) host["Binds"].push_back(bind_text(mount));
    else if (mount.type == "volume" && mount.source.empty()) body["Volumes"][mount.target] = Json::object();
    else host["Mounts"].push_back(mount_of(project, mount));
  }
  for (const auto& entry : service.tmpfs) {
    const auto colon = entry.find(':');
    host["Tmpfs"][entry.substr(0, colon)] = colon == std::string::npos ? "" : entry.substr(colon + 1);
  }
  put(host, "VolumesFrom", service.volumes_from);
}

void put_ports(Json& host, Json& body, const Service& service) {
  for (const auto& text : service.expose) body["ExposedPorts"][text.find('/') == std::string::npos ? text + "/tcp" : text] = Json::object();
  for (const auto& port : service.ports) {
    const auto key = fmt::format("{}/{}", port.target, port.protocol.empty() ? "tcp" : port.protocol);
    body["ExposedPorts"][key] = Json::object();
    host["PortBindings"][key].push_back({{"HostIp", port.host_ip}, {"HostPort", port.published}});
  }
}

void put_resources(Json& host, const Service& service) {
  const auto* limits = service.deploy ? &service.deploy->limits : nullptr;
  const auto* reservations = service.deploy ? &service.deploy->reservations : nullptr;
  put(host, "Memory", limits != nullptr && limits->memory ? *limits->memory : service.mem_limit);
  put(host, "MemoryReservation", reservations != nullptr && reservations->memory ? *reservations->memory : service.mem_reservation);
  put(host, "MemorySwap", service.memswap_limit);
  if (service.mem_swappiness) host["MemorySwappiness"] = *service.mem_swappiness;
  const double cpus = limits != nullptr && limits->cpus ? *limits->cpus : service.cpus;
  put(host, "NanoCpus", std::llround(cpus * 1e9));
  put(host, "PidsLimit", limits != nullptr && limits->pids ? *limits->pids : service.pids_limit);
  put(host, "CpuShares", service.cpu_shares);
  put(host, "CpuQuota", service.cpu_quota);
  put(host, "CpuPeriod", service.cpu_period);
  put(host, "CpuRealtimePeriod", service.cpu_rt_period);
  put(host, "CpuRealtimeRuntime", service.cpu_rt_runtime);
  put(host, "CpusetCpus", service.cpuset);
  put(host, "ShmSize", service.shm_size);
  put(host, "OomScoreAdj", service.oom_score_adj);
  if (service.oom_kill_disable) host["OomKillDisable"] = true;
  for (const auto& [name, limit] : service.ulimits) {
    host["Ulimits"].push_back({{"Name", name}, {"Soft", limit.soft}, {"Hard", limit.hard}});
  }
  std::vector<compose::DeviceRequest> requests = service.gpus;
  if (reservations != nullptr) requests.insert(requests.end(), reservations->devices.begin(), reservations->devices.end());
  for (const auto& request : requests) {
    host["DeviceRequests"].push_back({{"Driver", request.driver}, {"Count", request.count}, {"DeviceIDs", request.device_ids},
                                      {"Capabilities", Json::array({request.capabilities})}, {"Options", request.options}});
  }
}

void put_isolation(Json& host, const Service& service) {
  if (service.privileged) host["Privileged"] = true;
  if (service.read_only) host["ReadonlyRootfs"] = true;
  if (service.init) host["Init"] = *service.init;
  put(host, "CapAdd", service.cap_add);
  put(host, "CapDrop", service.cap_drop);
  put(host, "SecurityOpt", service.security_opt);
  put(host, "GroupAdd", service.group_add);
  put(host, "IpcMode", service.ipc);
  put(host, "PidMode", service.pid);
  put(host, "UTSMode", service.uts);
  put(host, "UsernsMode", service.userns_mode);
  put(host, "CgroupnsMode", service.cgroup);
  put(host, "CgroupParent", service.cgroup_parent);
  put(host, "Runtime", service.runtime);
  put(host, "DeviceCgroupRules", service.device_cgroup_rules);
  for (const auto& device : service.devices) {
    host["Devices"].push_back({{"PathOnHost", device.source}, {"PathInContainer", device.target},
                               {"CgroupPermissions", device.permissions.empty() ? "rwm" : device.permissions}});
  }
  if (!service.sysctls.empty()) host["Sysctls"] = service.sysctls;
  if (!service.storage_opt.empty()) host["StorageOpt"] = service.storage_opt;
  if (!service.annotations.empty()) host["Annotations"] = service.annotations;
}

void put_names(Json& host, const Service& service) {
  put(host, "Dns", service.dns);
  put(host, "DnsOptions", service.dns_opt);
  put(host, "DnsSearch", service.dns_search);
  for (const auto& [name, addresses] : service.extra_hosts) {
    for (const auto& address : addresses) host["ExtraHosts"].push_back(name + ":" + address);
  }
}

}  // namespace

std::string image_of(const compose::Project& project, const Service& service) {
  return service.image.empty() ? project.name + "-" + service.name : service.image;
}

std::string restart_policy_of(const Service& service) {
  if (!service.restart.empty()) return service.restart;
  if (!service.deploy || !service.deploy->restart_policy) return "no";
  const auto& policy = *service.deploy->restart_policy;
  if (policy.condition == "none") return "no";
  if (policy.condition == "on-failure") {
    return policy.max_attempts ? fmt::format("on-failure:{}", *policy.max_attempts) : "on-failure";
  }
  return "always";
}

Json create_body(const compose::Project& project, const Service& service, const BodyOptions& options) {
  Json body = Json::object();
  Json host = Json::object();
  if (service.command) body["Cmd"] = *service.command;
  if (service.entrypoint) body["Entrypoint"] = *service.entrypoint;
  body["Env"] = Json::array();
  for (const auto& [name, value] : service.environment) {
    if (value) body["Env"].push_back(name + "=" + *value);
  }
  put(body, "User", service.user);
  put(body, "WorkingDir", service.working_dir);
  put(body, "Hostname", service.hostname);
  put(body, "Domainname", service.domainname);
  put(body, "StopSignal", service.stop_signal);
  put(body, "MacAddress", service.mac_address);
  if (service.tty) body["Tty"] = true;
  if (service.stdin_open) body["OpenStdin"] = true;
  if (service.stop_grace_period) {
    body["StopTimeout"] = std::chrono::ceil<std::chrono::seconds>(*service.stop_grace_period).count();
  }
  if (service.healthcheck) body["Healthcheck"] = healthcheck_of(*service.healthcheck);
  if (!service.labels.empty()) body["Labels"] = service.labels;
  put_ports(host, body, service);
  put_mounts(host, body, project, service, options);
  put_resources(host, service);
  put_isolation(host, service);
  put_names(host, service);
  const auto restart = restart_policy_of(service);
  const auto colon = restart.find(':');
  host["RestartPolicy"] = {{"Name", restart.substr(0, colon)},
                           {"MaximumRetryCount", colon == std::string::npos ? 0 : std::atoi(restart.c_str() + colon + 1)}};
  if (service.logging && !service.logging->driver.empty()) {
    host["LogConfig"] = {{"Type", service.logging->driver}, {"Config", service.logging->options}};
  } else if (service.logging && !service.logging->options.empty()) {
    host["LogConfig"] = {{"Type", "json-file"}, {"Config", service.logging->options}};
  }
  if (!service.network_mode.empty()) {
    // Another service's network can't be named before its container is known; the caller resolves "service:NAME".
    host["NetworkMode"] = service.network_mode;
  }
  body["HostConfig"] = std::move(host);
  return body;
}

}  // namespace codops::engine::docker
