#pragma once
// A compose project as docker compose would run it: normalised, paths absolute, disabled profiles removed.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace codops::compose {

using Duration = std::chrono::nanoseconds;
using Texts = std::vector<std::string>;
using Dict = std::map<std::string, std::string>;

struct Port {
  std::string name, mode, host_ip, published, protocol, app_protocol;  // published: "", "8080" or a range "8000-8010"
  std::uint16_t target{};
};

struct Mount {
  std::string type;    // "bind", "volume", "tmpfs", …
  std::string source;  // bind: an absolute path; volume: a key of Project::volumes, empty if anonymous
  std::string target;
  bool read_only{};
  std::string consistency;
  std::string propagation, selinux, recursive;  // bind
  bool create_host_path{};
  bool no_copy{};                               // volume
  std::string subpath;
  std::optional<std::int64_t> tmpfs_size;
  std::optional<std::int64_t> tmpfs_mode;
};

struct ServiceNetwork {
  Texts aliases, link_local_ips;
  std::string ipv4_address, ipv6_address, mac_address;
  Dict driver_opts;
  int priority{}, gw_priority{};
};

struct FileReference {  // of a secret or config, by the name of its definition
  std::string source, target, uid, gid;
  std::optional<std::int64_t> mode;
};

struct Healthcheck {
  Texts test;  // ["CMD", …], ["CMD-SHELL", "…"], ["NONE"]; empty: the image's
  std::optional<Duration> interval, timeout, start_period, start_interval;
  std::optional<int> retries;
  bool disable{};
};

struct Dependency {
  enum class Condition { started, healthy, completed };
  Condition condition{Condition::started};
  bool restart{};
  bool required{true};
};

struct Ulimit {
  std::int64_t soft{}, hard{};
};

struct Device {
  std::string source, target, permissions;
};

struct DeviceRequest {
  Texts capabilities, device_ids;
  std::string driver;
  std::int64_t count{};  // -1: all
  Dict options;
};

struct Resources {
  std::optional<double> cpus;
  std::optional<std::int64_t> memory, pids;  // bytes
  std::vector<DeviceRequest> devices;
};

struct UpdateConfig {
  std::optional<std::int64_t> parallelism;
  Duration delay{}, monitor{};
  std::string failure_action, order;  // order: "", "start-first", "stop-first"
  double max_failure_ratio{};
};

struct RestartPolicy {
  std::string condition;
  std::optional<Duration> delay, window;
  std::optional<std::int64_t> max_attempts;
};

struct Deploy {
  std::string mode, endpoint_mode;
  std::optional<std::int64_t> replicas;
  Dict labels;
  Resources limits, reservations;
  std::optional<UpdateConfig> update_config, rollback_config;
  std::optional<RestartPolicy> restart_policy;
  Texts constraints, preferences;
  std::int64_t max_replicas_per_node{};
};

struct Build {
  std::string context, dockerfile, dockerfile_inline, target, network;
  std::map<std::string, std::optional<std::string>> args;
  Dict labels, additional_contexts;
  Texts cache_from, tags, platforms;
  std::map<std::string, Texts> extra_hosts;
  bool no_cache{}, pull{};
  std::int64_t shm_size{};
};

struct Logging {
  std::string driver;
  Dict options;
};

struct Service {
  std::string name;
  std::string image;  // empty: built, and named by the project and service
  std::optional<Build> build;
  std::optional<Texts> command, entrypoint;  // absent: the image's; empty: cleared
  std::map<std::string, std::optional<std::string>> environment;  // env_file included; absent value: not set at all
  std::vector<Port> ports;
  Texts expose;
  std::vector<Mount> volumes;
  Texts volumes_from, tmpfs;
  std::map<std::string, ServiceNetwork> networks;
  std::string network_mode;
  std::vector<FileReference> secrets, configs;
  std::optional<Healthcheck> healthcheck;
  std::map<std::string, Dependency> depends_on;
  std::optional<Deploy> deploy;
  std::optional<Logging> logging;
  Dict labels, annotations, sysctls, storage_opt;
  std::map<std::string, Ulimit> ulimits;
  std::map<std::string, Texts> extra_hosts;
  std::vector<Device> devices;
  std::vector<DeviceRequest> gpus;
  Texts cap_add, cap_drop, security_opt, dns, dns_opt, dns_search, group_add, links, external_links, profiles,
      device_cgroup_rules;
  std::string restart, stop_signal, user, working_dir, hostname, domainname, container_name, pid, ipc, uts, cgroup,
      cgroup_parent, userns_mode, runtime, platform, pull_policy, mac_address, cpuset;
  std::optional<Duration> stop_grace_period;
  std::optional<bool> init;
  bool privileged{}, read_only{}, tty{}, stdin_open{}, oom_kill_disable{};
  double cpus{};
  std::int64_t mem_limit{}, mem_reservation{}, memswap_limit{}, shm_size{}, pids_limit{}, cpu_shares{}, cpu_quota{},
      cpu_period{}, cpu_rt_period{}, cpu_rt_runtime{}, oom_score_adj{};
  std::optional<std::int64_t> mem_swappiness;
  std::optional<std::int64_t> scale;

  // How many containers: `scale`, deploy.replicas, else 1.
  std::int64_t replicas() const;
};

struct IpamPool {
  std::string subnet, gateway, ip_range;
  Dict aux_addresses;
};

struct Network {
  std::string name;  // on the engine
  std::string driver, ipam_driver;
  Dict driver_opts, labels;
  std::vector<IpamPool> pools;
  bool external{}, internal{}, attachable{};
  std::optional<bool> enable_ipv4, enable_ipv6;
};

struct Volume {
  std::string name;  // on the engine
  std::string driver;
  Dict driver_opts, labels;
  bool external{};
};

// A secret or a config: one of file, environment, content, or external.
struct FileObject {
  std::string name;  // on the engine
  std::string file;  // absolute
  std::string environment;
  std::optional<std::string> content;
  std::string driver, template_driver;
  Dict labels;
  bool external{};
};

struct Project {
  std::string name;
  std::string working_dir;              // absolute
  Texts files;                          // the compose files, absolute, in the order of merging
  Texts env_files;                      // those that were read
  std::map<std::string, Service> services;
  std::map<std::string, Network> networks;
  std::map<std::string, Volume> volumes;
  std::map<std::string, FileObject> secrets, configs;
  Texts disabled;                       // services that no active profile has
  Texts warnings;                       // "file:line:column: …": keys that codops does not act on, unset variables
  Texts overridden;                     // names whose shell value an environment file replaced
  std::map<std::string, std::string> environment;  // what variables were looked up in: shell, files, extra
  std::set<std::string> used;           // names of those that stood in the files

  // The normalised document: what docker compose prints, before it doubles dollar signs.
  std::shared_ptr<const nlohmann::json> document;
};

// What `docker compose config --format json` prints, with sorted keys; ends with a newline.
std::string to_json(const Project& project);

// One service's normalised definition as canonical JSON: sorted keys, no spaces. Equal text, equal definition. Replica
// counts, profiles, depends_on and build are left out: they don't change a container.
std::string canonical_json(const Project& project, const std::string& service);

}  // namespace codops::compose
