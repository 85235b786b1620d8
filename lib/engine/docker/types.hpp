#pragma once
// What the Engine API answers, as far as codops reads it (https://docs.docker.com/engine/api/, 1.40 to 1.4x).
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/failure.hpp"
#include "lib/target/containers.hpp"

namespace codops::engine::docker {

using target::HealthState;
using target::RunState;

// The engine answered with an error status: decide by status(), not by the message, which is the engine's own.
class ApiError : public Failure {
 public:
  ApiError(int status, std::string message, std::string hint = {});
  int status() const noexcept { return status_; }
  bool not_found() const noexcept { return status_ == 404; }
  bool conflict() const noexcept { return status_ == 409; }

 private:
  int status_;
};

struct EngineInfo {
  std::string version;          // "20.10.24+dfsg1"
  std::string api_version;      // negotiated: "1.41"
  std::string os, architecture; // "linux", "x86_64"
  std::string id, name, root_dir, storage_driver;
  std::uint64_t memory_bytes{};
  int cpus{};
  bool live_restore{}, swarm_active{}, swarm_manager{}, podman{};
  std::vector<std::string> warnings;
};

struct ContainerSummary {
  std::string id, name, image, image_id;
  RunState state{RunState::created};
  HealthState health{HealthState::none};
  std::string status;  // for people: "Up 2 minutes (healthy)"
  std::int64_t created{};  // seconds since 1970
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> addresses;  // network name → IPv4, running ones only
  std::vector<std::uint16_t> published;          // TCP ports of the engine's host
};

struct NetworkAttachment {
  std::string network_id, address, gateway, mac;
  std::string configured_address;  // the pinned one; empty when the engine chooses
  std::vector<std::string> aliases;
};

struct Mount {
  std::string type;    // "bind", "volume", "tmpfs"
  std::string name;    // of a volume
  std::string source, destination;
  bool writable{true};
};

struct PublishedPort {
  std::uint16_t container_port{};
  std::string protocol;  // "tcp"
  std::string host_ip;
  std::uint16_t host_port{};
};

struct HealthProbe {
  std::optional<WallTime> start, end;
  int exit_code{};
  std::string output;
};

struct ContainerDetails {
  std::string id, name, image, image_id;
  RunState state{RunState::created};
  HealthState health{HealthState::none};
  int failing_streak{};
  std::vector<HealthProbe> probes;  // the engine keeps the last five
  int exit_code{};
  bool oom_killed{};
  std::string error;                // why it did not start
  int pid{};
  int restart_count{};
  std::map<std::string, std::string> limits;  // as resource_limits() gives them
  std::string restart_policy;       // "no", "always", "unless-stopped", "on-failure"
  std::optional<WallTime> created, started, finished;
  bool tty{};
  std::map<std::string, std::string> labels;
  std::vector<std::string> env;
  std::map<std::string, NetworkAttachment> networks;  // by name
  std::string network_mode;
  std::vector<Mount> mounts;
  std::vector<PublishedPort> ports;
  std::vector<std::uint16_t> exposed;                 // tcp
  std::shared_ptr<const nlohmann::json> raw;          // the whole answer
};

struct CreatedContainer {
  std::string id;
  std::vector<std::string> warnings;
};

struct NetworkDetails {
  std::string id, name, driver, scope, subnet, gateway;  // of the first IPv4 range
  bool internal{}, attachable{}, enable_ipv6{};
  std::map<std::string, std::string> labels, options;
  std::map<std::string, std::string> containers;         // id → address; filled by inspect only
};

struct NetworkSpec {
  std::string name;
  std::string driver{"bridge"};
  bool internal{}, attachable{}, enable_ipv6{};
  std::string subnet, gateway, ip_range;
  std::map<std::string, std::string> options, labels;
};

struct EndpointSpec {
  std::string address;  // pinned IPv4; empty: the engine's choice
  std::vector<std::string> aliases;
};

struct VolumeDetails {
  std::string name, driver, mountpoint;
  std::map<std::string, std::string> labels, options;
};

struct ImageDetails {
  std::string id;                         // "sha256:…"
  std::vector<std::string> tags, digests; // digests as "name@sha256:…"
  std::string architecture, os;
  std::uint64_t size{};
  std::optional<WallTime> created;
  std::vector<std::string> cmd, entrypoint, env;
  std::string user, workdir;
  std::map<std::string, std::string> labels;
  std::vector<std::uint16_t> exposed;     // tcp
  bool has_healthcheck{};
  std::shared_ptr<const nlohmann::json> raw;
};

struct ImageSummary {
  std::string id;
  std::vector<std::string> tags, digests;
  std::uint64_t size{};
  std::int64_t created{};
  std::map<std::string, std::string> labels;
};

// What a registry says of a name, asked through the engine.
struct DistributionInfo {
  std::string digest;  // "sha256:…"
  std::uint64_t size{};
  std::vector<std::string> platforms;  // "linux/amd64"
};

struct DiskUsage {
  std::uint64_t images{}, containers{}, volumes{}, build_cache{};
};

struct ProcessList {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
};

struct EngineEvent {
  std::string type;    // "container"
  std::string action;  // "die", "health_status: healthy"
  std::string id;
  std::map<std::string, std::string> attributes;
  std::int64_t time_nano{};
};

}  // namespace codops::engine::docker
