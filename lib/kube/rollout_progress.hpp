#pragma once
// How far the controllers are, by their own numbers: facts/kubernetes.md, "Rollout".
#include <string>

#include "lib/kube/rollout.hpp"

namespace codops::kube {

struct Progress {
  bool stale{};  // the status is of an older generation
  bool done{};
  std::string text;
  std::string failure, failure_text;  // the controller gave up: "ProgressDeadlineExceeded"
};
Progress progress_of(const Observation& observed, WallTime wall);

// The ReplicaSet or ControllerRevision that the workload is at; nullptr: not made yet, or the kind has none.
const Object* current_revision(const Observation& observed);

// Why its pods will never change by themselves; "" when they do.
std::string why_paused(const Object& workload);

}  // namespace codops::kube
