#pragma once
// The calls that codops makes. Each has a deadline of its own besides Limits. Absence is nullopt where absence is an
// ordinary answer; everything else is ApiError. Objects are the API's own JSON.
// May be used by several threads at once.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/engine/kubernetes/client.hpp"
#include "lib/engine/kubernetes/resource.hpp"

namespace codops::engine::kubernetes {

inline constexpr std::string_view field_manager = "codops";
// For many objects. More gain nothing beside the server, whose own work is what takes the time; some hide the way to one
// that is far.
inline constexpr std::size_t most_connections = 4;

struct ApplyOptions {
  bool force{false};     // takes fields from other managers
  bool dry_run{false};   // everything but the writing: defaults, validation, admission
  std::string manager{field_manager};
};

struct Applied {
  std::shared_ptr<const nlohmann::json> object;  // as it is now (or would be)
  bool created{false};
  std::vector<std::string> warnings;             // of the server: deprecations, admission
};

// Of one of many: either an answer or what was thrown.
struct ApplyOutcome {
  Applied applied;
  std::exception_ptr failure;
};

struct Selection {
  std::string labels;  // "app=shop,tier!=cache"
  std::string fields;  // "metadata.name=backend"
};

struct DeleteOptions {
  std::string uid;                       // only that very object: then the call is repeatable
  std::string propagation{"Background"}; // "Foreground", "Orphan"
  std::optional<int> grace_seconds;
  bool dry_run{false};
};

enum class Deletion { started, absent, other_object };  // other_object: the UID was another

struct LogOptions {
  std::string container;  // empty: the only one
  bool follow{false}, previous{false}, timestamps{false};
  std::optional<std::size_t> tail;
  std::optional<WallTime> since;
  std::optional<std::uint64_t> limit_bytes;
};

struct ScaleState {
  int wanted{}, present{};
  std::string resource_version;
};

struct AccessQuestion {
  std::string verb;           // "create"
  std::string group, plural;  // "apps", "deployments"
  std::string subresource;    // "exec"
  std::string namespace_, name;
};

class Api {
 public:
  explicit Api(Connection connection, ClientOptions options = {});

  Client& client() noexcept { return client_; }
  const std::string& default_namespace() const noexcept { return client_.connection().namespace_; }

  // The server: "v1.36.3". The cheapest call that shows that it answers and who we are is accepted.
  std::string version(const Limits& limits);

  // Kinds. Throws Failure{config} naming the kinds that are near when the server has none of that name.
  Resource resource(const std::string& api_version, const std::string& kind, const Limits& limits);
  std::optional<Resource> find_resource(const std::string& api_version, const std::string& kind, const Limits& limits);
  std::vector<Resource> all_resources(const Limits& limits);  // of every group that answers
  void rediscover();  // after CRDs were made: the next question goes to the server

  // Objects
  std::optional<nlohmann::json> find(const ObjectRef& object, const Limits& limits);
  nlohmann::json get(const ObjectRef& object, const Limits& limits);
  // Every object, one after another, read in pages: memory is that of a page. Items have apiVersion and kind. An empty
  // namespace means all of them. Returns the collection's resourceVersion. The sink may throw to stop. A list that
  // outlives its snapshot (410) starts anew: its objects are told again.
  using ObjectSink = std::function<void(nlohmann::json&& object)>;
  std::string list(const std::string& api_version, const std::string& kind, const std::string& namespace_,
                   const Selection& selection, const ObjectSink& each, const Limits& limits);
  std::vector<nlohmann::json> list(const std::string& api_version, const std::string& kind,
                                   const std::string& namespace_, const Selection& selection, const Limits& limits);
  nlohmann::json create(const nlohmann::json& object, const Limits& limits);
  nlohmann::json try_create(const nlohmann::json& object, const Limits& limits);  // a dry run; generateName is fine
  // The whole object; with metadata.resourceVersion only if it is still that one (else ApiError 409).
  nlohmann::json replace(const nlohmann::json& object, const Limits& limits, bool dry_run = false);
  // Server-side apply with fieldValidation=Strict. Repeatable. `object` must not have managedFields.
  Applied apply(const nlohmann::json& object, const ApplyOptions& options, const Limits& limits);
  // The same for many that don't depend on each other, over several connections; outcomes in the order of `objects`.
  std::vector<ApplyOutcome> apply_all(const std::vector<nlohmann::json>& objects, const ApplyOptions& options, const Limits& limits);
  // Each by find(); the same order, null where there is none. ApiErrors other than 404 are thrown.
  std::vector<nlohmann::json> find_all(const std::vector<ObjectRef>& objects, const Limits& limits);

  enum class PatchKind { merge, strategic, json };
  nlohmann::json patch(const ObjectRef& object, PatchKind kind, const nlohmann::json& body, const Limits& limits,
                       const std::string& subresource = {});
  Deletion remove(const ObjectRef& object, const DeleteOptions& options, const Limits& limits);

  // Fields that `managers` own by plain updates (kubectl apply, helm) become codops' own, so that a later apply removes
  // what the manifest no longer has. False: none of them owned anything.
  bool adopt(const ObjectRef& object, const std::vector<std::string>& managers, const Limits& limits);

  // Workloads with a scale (Deployment, StatefulSet, ReplicaSet, …)
  ScaleState scale(const ObjectRef& workload, const Limits& limits);
  void set_scale(const ObjectRef& workload, int replicas, const Limits& limits);

  // Until the log's end, or with `follow` until the container ends. `bytes` as they come, whole lines not promised.
  void logs(const std::string& namespace_, const std::string& pod, const LogOptions& options, const io::ByteSink& bytes,
            const Limits& limits);
  // Follows by lines (no timestamps in them) to the log's end, across lost connections, each line once; `ended`: the line had
  // its end. That is later than the container's: what a command has said is still being written then. The container must have
  // started (ApiError 400 before).
  void follow_lines(const std::string& namespace_, const std::string& pod, const std::string& container,
                    const std::function<void(std::string_view line, bool ended)>& each, const Limits& limits);

  // SelfSubjectAccessReview: may we?
  bool allowed(const AccessQuestion& question, const Limits& limits);

  struct ExecSpec {
    std::string namespace_, pod, container;  // container empty: the pod's default
    std::vector<std::string> argv;           // goes into a URL that servers log: no secrets
    bool tty{false};
    bool attach{false};  // to the stdin of what the container runs anyway, and nothing else: ExecSession only
  };
  // To the end; the exit code. `in` may be empty. Throws when the command could not be run (message of the runtime).
  int exec(const ExecSpec& spec, const io::ByteSource& in, const io::ByteSink& out, const io::ByteSink& err, const Limits& limits);
  // exec.hpp has the session with both directions and resizing, port_forward.hpp a connection to a port of a pod.

 private:
  void discover(const Limits& limits);
  std::string path_of(const ObjectRef& object, const Limits& limits, std::string_view subresource = {});

  Client client_;
  std::mutex mutex_;
  std::optional<std::vector<Resource>> discovered_;
  std::vector<std::string> stale_;
};

}  // namespace codops::engine::kubernetes
