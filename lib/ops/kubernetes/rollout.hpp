#pragma once
// Waiting until objects are as their specs say, by events, with kube::judge's verdict.
#include <functional>
#include <string>
#include <vector>

#include "lib/kube/rollout.hpp"
#include "lib/ops/kubernetes/run_context.hpp"

namespace codops::ops::kubernetes {

struct RolloutOptions {
  kube::Graces graces;
  bool going_back{false};      // stuck pods of StatefulSets are replaced; crashes of what leaves are no news
  std::function<void(const std::string& text)> progress;  // "backend 1/2 available"
};

// Returns what to show when done. Throws Failure{failed} with the reason as soon as it is known, or when nothing moved for
// context.stall; context.troubles has the evidence's places then.
std::string await_rollout(RunContext& context, const std::vector<kube::Object>& objects, const RolloutOptions& options, const Limits& limits);

}  // namespace codops::ops::kubernetes
