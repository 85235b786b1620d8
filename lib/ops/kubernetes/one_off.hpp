#pragma once
// `codops run`: a command in a pod of its own, with a workload's image, environment and volumes.
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops::kubernetes {

// As a Job; its output goes to `streams.out`, and `streams.in`, which reads standard input, to the command. Failure{unavailable} when that did
// not get there whole. Removed afterwards. Returns the exit code.
int run_one_off(Cluster& cluster, const OneOff& one_off, const target::ExecStreams& streams, const Limits& limits);
// A pod that rests while the command runs in it on the caller's terminal.
int run_on_terminal(Cluster& cluster, const OneOff& one_off, const Limits& limits);

}  // namespace codops::ops::kubernetes
