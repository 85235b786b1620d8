#pragma once
// deploy, rollback, scale and restart on a cluster.
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/ops/kubernetes/plan.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops::kubernetes {

DeployResult deploy(Cluster& cluster, const DeployRequest& request, const Limits& limits);
// A List of the objects that a deploy of `version` would apply, for `kubectl diff` and the like.
std::string rendered(Cluster& cluster, const std::string& version, const Limits& limits);

// Pieces that scale and restart share.
DeployResult result_for(Cluster& cluster, const Planned& planned, const Observed& observed, const std::vector<kube::ContainerImage>& images, bool dry_run);
// Asks where the environment is protected or requests may fail; throws Failure{failed} for a no.
void require_consent(const Cluster& cluster, const Planned& planned, bool allow_downtime, const std::function<bool(const std::string&)>& confirm);

DeployResult rollback(Cluster& cluster, const RollbackRequest& request, const Limits& limits);

}  // namespace codops::ops::kubernetes
