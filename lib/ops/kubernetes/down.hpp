#pragma once
// Taking an environment out of its cluster.
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops::kubernetes {

// Members of the set; claims, CRDs and the namespace only when told.
DownPlan plan_down(Cluster& cluster, const DownRequest& request, const Limits& limits);
// Removes them in the reverse order of applying; the state with its history stays unless the namespace goes.
void down(Cluster& cluster, const DownRequest& request, const Limits& limits);

}  // namespace codops::ops::kubernetes
