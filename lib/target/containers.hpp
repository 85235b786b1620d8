#pragma once
// What an engine offers to backup, migrate, health and ops about containers (pods, on Kubernetes): they reach
// containers only through these interfaces. lib/engine implements them; tests use hand-written fakes.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/secret.hpp"

namespace codops::target {

enum class RunState { created, running, paused, restarting, exited, dead };
enum class HealthState { none, starting, healthy, unhealthy };  // none: the container has no health check

struct Container {
  std::string id;       // full
  std::string name;     // without the leading slash
  std::string service;  // the compose service or workload; empty when it has none
  std::string image;    // as it was asked for
  std::string image_id; // "sha256:…"
  RunState state{RunState::created};
  HealthState health{HealthState::none};
  bool completed{};     // it ended by itself, with exit code 0
  std::map<std::string, std::string> labels;
};

// Bytes as they stream by. A sink may throw to stop the transfer; an empty view never arrives.
using Sink = std::function<void(std::string_view)>;
// Fills at most `size` bytes at `into`, returns how many; 0 is the end.
using Source = std::function<std::size_t(char* into, std::size_t size)>;

struct ExecRequest {
  std::vector<std::string> argv;
  std::map<std::string, Secret> env;  // beside the container's own
  std::string user;                   // empty: the image's
  std::string workdir;
};

struct ExecStreams {
  Source in;   // empty function: no stdin
  Sink out;    // empty function: dropped
  Sink err;
};

class Containers {
 public:
  virtual ~Containers() = default;

  // Those of the environment's project; `service` empty: all of them. Stopped ones only when asked.
  virtual std::vector<Container> list(std::string_view service, bool with_stopped, const Limits& limits) = 0;
  // The last `lines` log lines, both streams, oldest first.
  virtual std::vector<std::string> last_logs(const std::string& container, std::size_t lines, const Limits& limits) = 0;
  // Runs to the end and returns the exit code; throws Failure only when it could not be run at all.
  virtual int exec(const std::string& container, const ExecRequest& request, const ExecStreams& streams,
                   const Limits& limits) = 0;
  // Sends the tar archive of `path` inside the container (or of a created, never started one) to `archive`.
  virtual void read_archive(const std::string& container, const std::string& path, const Sink& archive,
                            const Limits& limits) = 0;
  // Unpacks a tar archive in `folder` of a container, which must exist there; folders inside the archive are made.
  virtual void write_archive(const std::string& container, const std::string& folder, const Source& archive, const Limits& limits) = 0;
  // The tar archive of `path` inside an image: a container is created from it, read and removed.
  virtual void read_image(const std::string& image, const std::string& path, const Sink& archive,
                          const Limits& limits) = 0;
};

// Where a caller on this machine can reach a port of a container. Keeps whatever makes it reachable alive.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  // Either host and port, or the path of a private Unix socket (then host is empty).
  virtual std::string host() const = 0;
  virtual std::uint16_t port() const = 0;
  virtual std::string unix_socket() const = 0;
};

class Dialer {
 public:
  virtual ~Dialer() = default;
  // The container's address where that answers, else an exec in it behind a private Unix socket; else Failure{69}
  // with what to add.
  virtual std::unique_ptr<Endpoint> dial(const std::string& container, std::uint16_t port, const Limits& limits) = 0;
};

}  // namespace codops::target
