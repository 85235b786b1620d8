#pragma once
// A command in a pod with the caller's own terminal.
#include <string>
#include <vector>

#include "lib/kube/object.hpp"
#include "lib/ops/kubernetes/cluster.hpp"

namespace codops::ops::kubernetes {

// `container` as in lib/engine/kubernetes/containers.hpp. Raw mode while it runs; window changes are passed on. Returns the exit code.
int exec_on_terminal(Cluster& cluster, const std::string& container, const std::vector<std::string>& argv, const Limits& limits);

// The id of the first container of a Job's pod once that runs. Failure{failed} with the reason when it can't.
std::string await_running_pod(Cluster& cluster, const kube::Object& job, const Limits& limits);

}  // namespace codops::ops::kubernetes
