#pragma once
// What is wrong with the pods of a rollout: one rule per state, each with its grace.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/kube/rollout.hpp"

namespace codops::kube {

// A state that is a failure at once or once it has lasted for `grace`.
struct Finding {
  std::string key;  // for RolloutMemory: the same as long as the state lasts
  Milliseconds grace{};
  Trouble trouble;
};

struct PodRules {
  bool job{};  // crashes are the Job's business (backoffLimit)
};
// Worst first.
std::vector<Finding> findings_of(const Object& pod, const Observation& observed, const Graces& graces, const PodRules& rules);

// Why it is not ready, for a rollout that waits: "" when nothing is known.
std::string not_ready_words(const Object& pod, const std::vector<Object>& events);

}  // namespace codops::kube
