#pragma once
// scale and restart: the release that serves, in another number or with new pods.
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops::kubernetes {

// Through the scale subresource; refuses where an autoscaler says how many. Makes release N+1.
DeployResult scale(Cluster& cluster, const DeployRequest& request, const Limits& limits);
// As `kubectl rollout restart`, with the monitor window and the way back of a deploy. Makes no release.
DeployResult restart(Cluster& cluster, const DeployRequest& request, const Limits& limits);

}  // namespace codops::ops::kubernetes
