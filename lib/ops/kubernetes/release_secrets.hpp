#pragma once
// Which values of a release in a cluster must not be shown.
#include "lib/base/known_secrets.hpp"
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/ops/kubernetes/run_context.hpp"

namespace codops::ops::kubernetes {

// Of the environment's files, of Secrets among the objects, and of containers' variables that are called like one.
KnownSecrets secrets_of(Cluster& cluster, const ObjectsByKey& objects);
// Of the release that a run is about, its migrations' too.
KnownSecrets secrets_of(const RunContext& context);

}  // namespace codops::ops::kubernetes
