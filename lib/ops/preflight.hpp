#pragma once
// Everything that can fail early fails here, before any change.
#include "lib/ops/desired.hpp"
#include "lib/ops/deploy_plan.hpp"
#include "lib/ops/host.hpp"

namespace codops::ops {

// Names and ports that others hold, disk space for the images, memory for both sets at once. Adds warnings to the plan;
// throws Failure{failed} for what would fail.
void preflight(Host& host, const Desired& desired, const Observed& observed, Planned& planned, const Limits& limits);

}  // namespace codops::ops
