#include "lib/compose/read.hpp"

#include <nlohmann/json.hpp>

#include "lib/compose/short_syntax.hpp"

namespace codops::compose {

using nlohmann::json;

namespace {

// Each reads member `key` of `from` when it is there and not null.
const json* member(const json& from, const char* key) {
  if (!from.is_object()) return nullptr;
  const auto found = from.find(key);
  return found == from.end() || found->is_null() ? nullptr : &*found;
}

template <typename T>
void read(const json& from, const char* key, T& into) {
  if (const auto* value = member(from, key)) into = value->get<T>();
}

template <typename T>
void read(const json& from, const char* key, std::optional<T>& into) {
  if (const auto* value = member(from, key)) into = value->get<T>();
}

// Printed as text: "67108864".
template <typename T>
void read_size(const json& from, const char* key, T& into) {
  if (const auto* value = member(from, key)) into = std::stoll(value->get<std::string>());
}

void read(const json& from, const char* key, std::optional<Duration>& into) {
  if (const auto* value = member(from, key))
    into = Duration{parse_go_duration(value->get_ref<const std::string&>()).value_or(0)};
}

void read(const json& from, const char* key, Duration& into) {
  std::optional<Duration> value;
  read(from, key, value);
  into = value.value_or(Duration{});
}

template <typename T, typename Read>
void read_list(const json& from, const char* key, std::vector<T>& into, const Read& one) {
  const auto* list = member(from, key);
  if (!list) return;
  for (const auto& item : *list) one(item, into.emplace_back());
}

template <typename T, typename Read>
void read_map(const json& from, const char* key, std::map<std::string, T>& into, const Read& one) {
  const auto* object = member(from, key);
  if (!object) return;
  for (const auto& [name, value] : object->items()) one(value, into[name]);
}

void read_hosts(const json& from, std::map<std::string, Texts>& into) {
  const auto* list = member(from, "extra_hosts");
  if (!list) return;
  for (const auto& item : *list) {
    const auto& entry = item.get_ref<const std::string&>();
    const auto equals = entry.find('=');
    into[entry.substr(0, equals)].push_back(entry.substr(equals + 1));
  }
}

void read_variable(const json& value, std::optional<std::string>& into) {
  if (!value.is_null()) into = value.get<std::string>();
}

void read_port(const json& from, Port& port) {
  read(from, "name", port.name);
  read(from, "mode", port.mode);
  read(from, "host_ip", port.host_ip);
  read(from, "published", port.published);
  read(from, "protocol", port.protocol);
  read(from, "app_protocol", port.app_protocol);
  read(from, "target", port.target);
}

void read_mount(const json& from, Mount& mount) {
  read(from, "type", mount.type);
  read(from, "source", mount.source);
  read(from, "target", mount.target);
  read(from, "read_only", mount.read_only);
  read(from, "consistency", mount.consistency);
  if (const auto* bind = member(from, "bind")) {
    read(*bind, "propagation", mount.propagation);
    read(*bind, "selinux", mount.selinux);
    read(*bind, "recursive", mount.recursive);
    read(*bind, "create_host_path", mount.create_host_path);
  }
  if (const auto* volume = member(from, "volume")) {
    read(*volume, "nocopy", mount.no_copy);
    read(*volume, "subpath", mount.subpath);
  }
  if (const auto* tmpfs = member(from, "tmpfs")) {
    read_size(*tmpfs, "size", mount.tmpfs_size);
    read(*tmpfs, "mode", mount.tmpfs_mode);
  }
}

void read_network(const json& from, ServiceNetwork& network) {
  read(from, "aliases", network.aliases);
  read(from, "link_local_ips", network.link_local_ips);
  read(from, "ipv4_address", network.ipv4_address);
  read(from, "ipv6_address", network.ipv6_address);
  read(from, "mac_address", network.mac_address);
  read(from, "driver_opts", network.driver_opts);
  read(from, "priority", network.priority);
  read(from, "gw_priority", network.gw_priority);
}

void read_reference(const json& from, FileReference& reference) {
  read(from, "source", reference.source);
  read(from, "target", reference.target);
  read(from, "uid", reference.uid);
  read(from, "gid", reference.gid);
  read(from, "mode", reference.mode);
}

void read_healthcheck(const json& from, std::optional<Healthcheck>& into) {
  const auto* found = member(from, "healthcheck");
  if (!found) return;
  auto& check = into.emplace();
  read(*found, "test", check.test);
  read(*found, "interval", check.interval);
  read(*found, "timeout", check.timeout);
  read(*found, "start_period", check.start_period);
  read(*found, "start_interval", check.start_interval);
  read(*found, "retries", check.retries);
  read(*found, "disable", check.disable);
}

void read_dependency(const json& from, Dependency& dependency) {
  std::string condition;
  read(from, "condition", condition);
  dependency.condition = condition == "service_healthy"                  ? Dependency::Condition::healthy
                         : condition == "service_completed_successfully" ? Dependency::Condition::completed
                                                                         : Dependency::Condition::started;
  read(from, "restart", dependency.restart);
  read(from, "required", dependency.required);
}

void read_request(const json& from, DeviceRequest& request) {
  read(from, "capabilities", request.capabilities);
  read(from, "device_ids", request.device_ids);
  read(from, "driver", request.driver);
  read(from, "count", request.count);
  read(from, "options", request.options);
}

void read_resources(const json& from, const char* key, Resources& resources) {
  const auto* found = member(from, key);
  if (!found) return;
  read(*found, "cpus", resources.cpus);
  read_size(*found, "memory", resources.memory);
  read(*found, "pids", resources.pids);
  read_list(*found, "devices", resources.devices, read_request);
}

void read_update(const json& from, const char* key, std::optional<UpdateConfig>& into) {
  const auto* found = member(from, key);
  if (!found) return;
  auto& update = into.emplace();
  read(*found, "parallelism", update.parallelism);
  read(*found, "delay", update.delay);
  read(*found, "monitor", update.monitor);
  read(*found, "failure_action", update.failure_action);
  read(*found, "order", update.order);
  read(*found, "max_failure_ratio", update.max_failure_ratio);
}

void read_deploy(const json& from, std::optional<Deploy>& into) {
  const auto* found = member(from, "deploy");
  if (!found) return;
  auto& deploy = into.emplace();
  read(*found, "mode", deploy.mode);
  read(*found, "endpoint_mode", deploy.endpoint_mode);
  read(*found, "replicas", deploy.replicas);
  read(*found, "labels", deploy.labels);
  if (const auto* resources = member(*found, "resources")) {
    read_resources(*resources, "limits", deploy.limits);
    read_resources(*resources, "reservations", deploy.reservations);
  }
  read_update(*found, "update_config", deploy.update_config);
  read_update(*found, "rollback_config", deploy.rollback_config);
  if (const auto* policy = member(*found, "restart_policy")) {
    auto& restart = deploy.restart_policy.emplace();
    read(*policy, "condition", restart.condition);
    read(*policy, "delay", restart.delay);
    read(*policy, "window", restart.window);
    read(*policy, "max_attempts", restart.max_attempts);
  }
  if (const auto* placement = member(*found, "placement")) {
    read(*placement, "constraints", deploy.constraints);
    read(*placement, "max_replicas_per_node", deploy.max_replicas_per_node);
    read_list(*placement, "preferences", deploy.preferences,
              [](const json& item, std::string& spread) { read(item, "spread", spread); });
  }
}

void read_build(const json& from, std::optional<Build>& into) {
  const auto* found = member(from, "build");
  if (!found) return;
  auto& build = into.emplace();
  read(*found, "context", build.context);
  read(*found, "dockerfile", build.dockerfile);
  read(*found, "dockerfile_inline", build.dockerfile_inline);
  read(*found, "target", build.target);
  read(*found, "network", build.network);
  read_map(*found, "args", build.args, read_variable);
  read(*found, "labels", build.labels);
  read(*found, "additional_contexts", build.additional_contexts);
  read(*found, "cache_from", build.cache_from);
  read(*found, "tags", build.tags);
  read(*found, "platforms", build.platforms);
  read_hosts(*found, build.extra_hosts);
  read(*found, "no_cache", build.no_cache);
  read(*found, "pull", build.pull);
  read_size(*found, "shm_size", build.shm_size);
}

void read_ulimit(const json& from, Ulimit& limit) {
  if (from.is_number()) {
    limit.soft = limit.hard = from.get<std::int64_t>();
    return;
  }
  read(from, "soft", limit.soft);
  read(from, "hard", limit.hard);
}

void read_texts(const json& from, Service& service) {
  read(from, "expose", service.expose);
  read(from, "volumes_from", service.volumes_from);
  read(from, "tmpfs", service.tmpfs);
  read(from, "cap_add", service.cap_add);
  read(from, "cap_drop", service.cap_drop);
  read(from, "security_opt", service.security_opt);
  read(from, "dns", service.dns);
  read(from, "dns_opt", service.dns_opt);
  read(from, "dns_search", service.dns_search);
  read(from, "group_add", service.group_add);
  read(from, "links", service.links);
  read(from, "external_links", service.external_links);
  read(from, "profiles", service.profiles);
  read(from, "device_cgroup_rules", service.device_cgroup_rules);
  read(from, "labels", service.labels);
  read(from, "annotations", service.annotations);
  read(from, "sysctls", service.sysctls);
  read(from, "storage_opt", service.storage_opt);
}

void read_words(const json& from, Service& service) {
  read(from, "image", service.image);
  read(from, "network_mode", service.network_mode);
  read(from, "restart", service.restart);
  read(from, "stop_signal", service.stop_signal);
  read(from, "user", service.user);
  read(from, "working_dir", service.working_dir);
  read(from, "hostname", service.hostname);
  read(from, "domainname", service.domainname);
  read(from, "container_name", service.container_name);
  read(from, "pid", service.pid);
  read(from, "ipc", service.ipc);
  read(from, "uts", service.uts);
  read(from, "cgroup", service.cgroup);
  read(from, "cgroup_parent", service.cgroup_parent);
  read(from, "userns_mode", service.userns_mode);
  read(from, "runtime", service.runtime);
  read(from, "platform", service.platform);
  read(from, "pull_policy", service.pull_policy);
  read(from, "mac_address", service.mac_address);
  read(from, "cpuset", service.cpuset);
}

void read_numbers(const json& from, Service& service) {
  read(from, "stop_grace_period", service.stop_grace_period);
  read(from, "init", service.init);
  read(from, "privileged", service.privileged);
  read(from, "read_only", service.read_only);
  read(from, "tty", service.tty);
  read(from, "stdin_open", service.stdin_open);
  read(from, "oom_kill_disable", service.oom_kill_disable);
  read(from, "cpus", service.cpus);
  read_size(from, "mem_limit", service.mem_limit);
  read_size(from, "mem_reservation", service.mem_reservation);
  read_size(from, "memswap_limit", service.memswap_limit);
  read_size(from, "mem_swappiness", service.mem_swappiness);
  read_size(from, "shm_size", service.shm_size);
  read(from, "pids_limit", service.pids_limit);
  read(from, "cpu_shares", service.cpu_shares);
  read(from, "cpu_quota", service.cpu_quota);
  read(from, "cpu_period", service.cpu_period);
  read(from, "cpu_rt_period", service.cpu_rt_period);
  read(from, "cpu_rt_runtime", service.cpu_rt_runtime);
  read(from, "oom_score_adj", service.oom_score_adj);
  read(from, "scale", service.scale);
}

void read_service(const json& from, Service& service) {
  read_words(from, service);
  read_texts(from, service);
  read_numbers(from, service);
  read_build(from, service.build);
  read(from, "command", service.command);
  read(from, "entrypoint", service.entrypoint);
  read_map(from, "environment", service.environment, read_variable);
  read_list(from, "ports", service.ports, read_port);
  read_list(from, "volumes", service.volumes, read_mount);
  read_map(from, "networks", service.networks, read_network);
  read_list(from, "secrets", service.secrets, read_reference);
  read_list(from, "configs", service.configs, read_reference);
  read_healthcheck(from, service.healthcheck);
  read_map(from, "depends_on", service.depends_on, read_dependency);
  read_deploy(from, service.deploy);
  if (const auto* found = member(from, "logging")) {
    auto& logging = service.logging.emplace();
    read(*found, "driver", logging.driver);
    read(*found, "options", logging.options);
  }
  read_map(from, "ulimits", service.ulimits, read_ulimit);
  read_hosts(from, service.extra_hosts);
  read_list(from, "devices", service.devices, [](const json& item, Device& device) {
    read(item, "source", device.source);
    read(item, "target", device.target);
    read(item, "permissions", device.permissions);
  });
  read_list(from, "gpus", service.gpus, read_request);
}

void read_project_network(const json& from, Network& network) {
  read(from, "name", network.name);
  read(from, "driver", network.driver);
  read(from, "driver_opts", network.driver_opts);
  read(from, "labels", network.labels);
  read(from, "external", network.external);
  read(from, "internal", network.internal);
  read(from, "attachable", network.attachable);
  read(from, "enable_ipv4", network.enable_ipv4);
  read(from, "enable_ipv6", network.enable_ipv6);
  if (const auto* ipam = member(from, "ipam")) {
    read(*ipam, "driver", network.ipam_driver);
    read_list(*ipam, "config", network.pools, [](const json& item, IpamPool& pool) {
      read(item, "subnet", pool.subnet);
      read(item, "gateway", pool.gateway);
      read(item, "ip_range", pool.ip_range);
      read(item, "aux_addresses", pool.aux_addresses);
    });
  }
}

void read_object(const json& from, FileObject& object) {
  read(from, "name", object.name);
  read(from, "file", object.file);
  read(from, "environment", object.environment);
  read(from, "content", object.content);
  read(from, "driver", object.driver);
  read(from, "template_driver", object.template_driver);
  read(from, "labels", object.labels);
  read(from, "external", object.external);
}

}  // namespace

void read_model(const json& document, Project& project) {
  read_map(document, "services", project.services, read_service);
  for (auto& [name, service] : project.services) service.name = name;
  read_map(document, "networks", project.networks, read_project_network);
  read_map(document, "volumes", project.volumes, [](const json& from, Volume& volume) {
    read(from, "name", volume.name);
    read(from, "driver", volume.driver);
    read(from, "driver_opts", volume.driver_opts);
    read(from, "labels", volume.labels);
    read(from, "external", volume.external);
  });
  read_map(document, "secrets", project.secrets, read_object);
  read_map(document, "configs", project.configs, read_object);
}

std::int64_t Service::replicas() const {
  if (scale) return *scale;
  if (deploy && deploy->replicas) return *deploy->replicas;
  return 1;
}

}  // namespace codops::compose
