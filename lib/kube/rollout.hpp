#pragma once
// Is a rollout done, failed or still going: a judgement of what was observed, with no clock and no network of its own.
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/kube/object.hpp"

namespace codops::kube {

// How long a state may last before it counts as a failure; counted from when it was first seen.
struct Graces {
  Milliseconds image{10'000};          // ImagePullBackOff, ErrImagePull: a registry may hiccup
  Milliseconds config{20'000};         // CreateContainerConfigError, or FailedMount of a missing Secret or ConfigMap: another tool may be about to make it
  Milliseconds volume{150'000};        // FailedMount, FailedAttachVolume, FailedCreatePodSandBox: the kubelet's longest pause between two tries is 122 s
  Milliseconds crash{0};               // CrashLoopBackOff (it appears with the second crash)
  int restarts{3};                     // whatever the container does in between
  Milliseconds unschedulable{120'000}; // an autoscaler may add a node
  Milliseconds create{10'000};         // ReplicaFailure, FailedCreate: quota, webhook
};

// One workload and what belongs to it, as read from a watch's cache.
struct Observation {
  Object workload;               // live; null: deleted
  std::int64_t generation{};     // the one that the PATCH returned: an older status is stale
  std::vector<Object> children;  // ReplicaSets of a Deployment, ControllerRevisions of a StatefulSet or DaemonSet
  std::vector<Object> pods;      // all in the namespace that may be its own; others' are left out here
  std::vector<Object> events;    // core/v1 or events.k8s.io/v1, of the namespace
  std::optional<WallTime> since; // the server's time of the apply: events before it are another rollout's
  std::optional<WallTime> crashes_since;  // what began before it and crashed may have waited for what is there by now
};

// Something to fetch before the rollback removes it.
struct Evidence {
  enum class Kind { events, logs, previous_logs };
  Kind kind{Kind::events};
  Ref object;             // events: of this object; logs: this pod
  std::string container;
};

struct Trouble {
  std::string reason;     // "CrashLoopBackOff", "OOMKilled", "ProgressDeadlineExceeded", …
  std::string message;    // a sentence: 'container "web" of pod web-7d9-abc exited with 1, 3 times'
  std::string hint;       // what to change or type; may be empty
  Ref object;             // the pod, ReplicaSet or workload
  std::string container;  // may be empty
  std::vector<Evidence> evidence;
};

struct Verdict {
  enum class State { waiting, done, failed };
  State state{State::waiting};
  std::string text;                // "2/3 updated, 1 available"; for done "3/3 ready"
  std::optional<Trouble> trouble;  // failed: why. waiting: what will be a failure if it lasts
  // The time at which this may change with no event at all: wake up then at the latest.
  std::optional<Deadline::TimePoint> next;
};

// What was seen when: one per rollout, kept by the caller between calls.
class RolloutMemory {
 public:
  // When `what` was first seen without a break.
  Deadline::TimePoint since(const std::string& what, Deadline::TimePoint now);
  // Of what begins with `prefix`, forgets all that is not in `seen`.
  void keep_only(const std::vector<std::string>& seen, const std::string& prefix);
  // The API server was away until `time`: no state could end before, so graces count from there.
  void not_before(Deadline::TimePoint time);

 private:
  std::map<std::string, Deadline::TimePoint> since_;
};

// `wall`: the server's time, for "available in 7 s".
Verdict judge(const Observation& observed, const Graces& graces, RolloutMemory& memory, Deadline::TimePoint now, WallTime wall);

// A crash may be a program's way to wait for another one (Kubernetes starts it again): while something else of the release is still coming, it
// is no verdict yet. `verdicts` of one release: where it says which other one the failed one of that index may wait for; nullopt: there is none,
// or it failed for another reason.
std::optional<std::size_t> may_wait_for(const std::vector<Verdict>& verdicts, std::size_t failed);
bool is_crash(const Trouble& trouble);

// Objects that have no rollout of their own: a CRD is done when Established, a Namespace when Active, a PVC at once unless Lost, an APIService when Available;
// a custom resource with observedGeneration and a Ready condition by that; anything else at once.
Verdict judge_other(const Object& live, std::int64_t generation);

// Before anything is applied: paused Deployments, whose pods would never change. Lines with file:line.
std::vector<std::string> refuse_early(const std::vector<Object>& desired);

// The pods of the revision that the rollout is about; none while the status is stale.
std::vector<Object> new_pods(const Observation& observed);
// After a rollback: pods of a StatefulSet that are neither of its update revision nor ready; the controller waits for them for ever. Delete with
// uid precondition.
std::vector<Object> stuck_pods(const Observation& observed);

}  // namespace codops::kube
