#pragma once
// The Engine API's calls that codops makes. Each has a deadline of its own besides Limits; containers are named by id or
// name. Absence is nullopt where absence is an ordinary answer; everything else is ApiError with the engine's status.
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/engine/docker/client.hpp"
#include "lib/engine/docker/image_name.hpp"
#include "lib/engine/docker/registry_auth.hpp"
#include "lib/engine/docker/types.hpp"
#include "lib/io/tar.hpp"

namespace codops::engine::docker {

using Labels = std::map<std::string, std::string>;
// "label" → {"a=b", "c"}: values of one key are alternatives, but for labels, which must all hold.
using Filters = std::map<std::string, std::vector<std::string>>;

struct LogOptions {
  std::optional<std::size_t> tail;  // all when absent
  bool follow{false};
  bool timestamps{false};
  std::string since, until;         // seconds since 1970, or RFC 3339
};

struct PullProgress {
  std::string layer;   // short id; empty for lines about the whole image
  std::string status;  // "Downloading", "Pull complete"
  std::uint64_t current{}, total{};
};

struct BuildOptions {
  std::vector<std::string> tags;
  std::string dockerfile{"Dockerfile"};  // inside the context
  std::string target;
  std::map<std::string, std::string> args;
  Labels labels;
  bool no_cache{false}, pull{false};
  std::string platform;
  std::vector<std::string> cache_from;
};

class EventStream;

class Api {
 public:
  explicit Api(Endpoint endpoint, RegistryAuth auth = {}, Milliseconds patience = default_patience);

  Client& client() noexcept { return client_; }
  const RegistryAuth& registry_auth() const noexcept { return auth_; }

  // The engine
  void ping(const Limits& limits);
  EngineInfo info(const Limits& limits);
  DiskUsage disk_usage(const Limits& limits);

  // Containers
  std::vector<ContainerSummary> containers(const Filters& filters, bool with_stopped, const Limits& limits);
  // `body` is the API's own: https://docs.docker.com/engine/api/v1.41/#operation/ContainerCreate
  CreatedContainer create_container(const std::string& name, const nlohmann::json& body, const Limits& limits);
  ContainerDetails inspect_container(const std::string& container, const Limits& limits);
  std::optional<ContainerDetails> find_container(const std::string& container, const Limits& limits);
  void start_container(const std::string& container, const Limits& limits);  // running already: fine
  // Waits `grace` before the engine kills it; stopped already: fine.
  void stop_container(const std::string& container, std::chrono::seconds grace, const Limits& limits);
  void restart_container(const std::string& container, std::chrono::seconds grace, const Limits& limits);
  void kill_container(const std::string& container, const std::string& signal, const Limits& limits);
  void pause_container(const std::string& container, const Limits& limits);
  void unpause_container(const std::string& container, const Limits& limits);
  void rename_container(const std::string& container, const std::string& name, const Limits& limits);
  // "no", "always", "unless-stopped", "on-failure"
  void set_restart_policy(const std::string& container, const std::string& policy, int max_retries, const Limits& limits);
  // Absent already: fine. Anonymous volumes go with it when asked.
  void remove_container(const std::string& container, bool force, bool with_anonymous_volumes, const Limits& limits);
  // The exit code, once it is not running; `condition`: "not-running", "next-exit", "removed".
  int wait_container(const std::string& container, const std::string& condition, const Limits& limits);
  ProcessList top(const std::string& container, const Limits& limits);
  // Until the end of the log, or with `follow` until the container stops. Both sinks may be the same.
  void logs(const std::string& container, const LogOptions& options, const io::ByteSink& out, const io::ByteSink& err,
            const Limits& limits);

  // Its stdin, and its stdout framed (stream_frames.hpp). With StdinOnce its stdin ends with this connection; a container that was not started yet
  // hears all of it.
  // Everything that a container reads and writes, from its start: `start` runs once we are attached. Until its output ends.
  void run_attached(const std::string& container, const std::function<void()>& start, const io::ByteSource& in, const io::ByteSink& out,
                    const io::ByteSink& err, const Limits& limits);
  std::unique_ptr<io::Duplex> attach_input(const std::string& container, const Limits& limits);

  // Networks
  std::vector<NetworkDetails> networks(const Filters& filters, const Limits& limits);
  std::string create_network(const NetworkSpec& spec, const Limits& limits);
  std::string create_network(const nlohmann::json& body, const Limits& limits);  // the API's own body
  std::optional<NetworkDetails> find_network(const std::string& network, const Limits& limits);
  void connect_network(const std::string& network, const std::string& container, const EndpointSpec& endpoint,
                       const Limits& limits);
  void disconnect_network(const std::string& network, const std::string& container, bool force, const Limits& limits);
  void remove_network(const std::string& network, const Limits& limits);  // absent already: fine

  // Volumes
  std::vector<VolumeDetails> volumes(const Filters& filters, const Limits& limits);
  // One that exists with the same driver is left as it is.
  VolumeDetails create_volume(const VolumeDetails& spec, const Limits& limits);
  VolumeDetails create_volume(const nlohmann::json& body, const Limits& limits);  // the API's own body
  std::optional<VolumeDetails> find_volume(const std::string& volume, const Limits& limits);
  void remove_volume(const std::string& volume, const Limits& limits);  // absent already: fine

  // Images
  std::vector<ImageSummary> images(const Filters& filters, const Limits& limits);
  std::optional<ImageDetails> find_image(const std::string& image, const Limits& limits);
  // By tag or digest, for `platform` ("linux/amd64") or the engine's own.
  void pull_image(const ImageName& image, const std::string& platform,
                  const std::function<void(const PullProgress&)>& progress, const Limits& limits);
  void push_image(const ImageName& image, const std::function<void(const PullProgress&)>& progress, const Limits& limits);
  void tag_image(const std::string& image, const ImageName& name, const Limits& limits);
  // Absent already: fine. `force` untags an image that stopped containers use.
  void remove_image(const std::string& image, bool force, const Limits& limits);
  // Makes an image of a root file system; `changes` are Dockerfile lines ("CMD [\"sh\"]"). Returns its id.
  std::string import_image(const ImageName& name, const io::ByteSource& tar, const std::vector<std::string>& changes,
                           const Limits& limits);
  // The classic builder; `output` takes its lines as they come. Returns the image's id.
  std::string build_image(const io::ByteSource& context_tar, const BuildOptions& options, const io::ByteSink& output,
                          const Limits& limits);
  // Asks the registry. 404: no such tag or, without credentials, no access (ApiError 401, 403, 404, 500).
  DistributionInfo distribution(const ImageName& image, const Limits& limits);

  // Archive: `tar` is unpacked in `folder`, which must exist. Parent folders inside the tar are made.
  void put_archive(const std::string& container, const std::string& folder, const std::string& tar, const Limits& limits);
  void put_archive(const std::string& container, const std::string& folder, const io::ByteSource& tar,
                   const Limits& limits);
  // False: there is no such container or path.
  bool get_archive(const std::string& container, const std::string& path, const io::ByteSink& tar, const Limits& limits);
  struct PathStat {
    std::string name;
    std::uint64_t size{};
    std::optional<WallTime> mtime;
    std::int64_t mtime_nanoseconds{};  // of its second
  };
  std::optional<PathStat> stat_path(const std::string& container, const std::string& path, const Limits& limits);

  // Exec
  struct ExecSpec {
    std::vector<std::string> argv;
    std::vector<std::string> env;  // "NAME=value"
    std::string user, workdir;
    bool tty{false}, with_stdin{false}, privileged{false};
    std::function<void()> before_start;  // run_exec: what must still hold when the command begins; throws where it does not
  };
  std::string create_exec(const std::string& container, const ExecSpec& spec, const Limits& limits);
  // Output only, until the command ends.
  void start_exec(const std::string& exec, bool tty, const io::ByteSink& out, const io::ByteSink& err,
                  const Limits& limits);
  // Raw with a TTY, else framed (stream_frames.hpp) towards us and plain towards it.
  std::unique_ptr<io::Duplex> attach_exec(const std::string& exec, bool tty, const Limits& limits);
  void resize_exec(const std::string& exec, unsigned rows, unsigned columns, const Limits& limits);
  // nullopt while it runs.
  std::optional<int> exec_exit_code(const std::string& exec, const Limits& limits);
  // create, start, pump and exit code in one.
  int run_exec(const std::string& container, const ExecSpec& spec, const io::ByteSource& in, const io::ByteSink& out,
               const io::ByteSink& err, const Limits& limits);

  // Events from `since` (engine's clock) on; the stream is open when this returns.
  std::unique_ptr<EventStream> events(const Filters& filters, std::optional<WallTime> since, const Limits& limits);

 private:
  void image_messages(const Call& call, const std::function<void(const nlohmann::json&)>& each, const Limits& limits);
  std::vector<std::pair<std::string, Secret>> auth_header(const ImageName& image, const Limits& limits);

  Client client_;
  RegistryAuth auth_;
};

// What happens on the engine, one event after another.
class EventStream {
 public:
  explicit EventStream(std::unique_ptr<io::HttpStream> stream);
  ~EventStream();
  // nullopt: the engine ended the stream. A lost connection is HttpFailure.
  std::optional<EngineEvent> next(const Limits& limits);

 private:
  std::unique_ptr<io::HttpStream> stream_;
  struct Lines;
  std::unique_ptr<Lines> lines_;
};

}  // namespace codops::engine::docker
