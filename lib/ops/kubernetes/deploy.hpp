#pragma once
// deploy, rollback, scale and restart on a cluster.
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops::kubernetes {

DeployResult deploy(Cluster& cluster, const DeployRequest& request, const Limits& limits);
DeployResult rollback(Cluster& cluster, const RollbackRequest& request, const Limits& limits);

}  // namespace codops::ops::kubernetes
