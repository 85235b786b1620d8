#pragma once
// Taking an environment off its host.
#include "lib/ops/host.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops {

// What would go: containers and networks of the project; volumes only with `with_volumes` (they hold the data).
DownPlan plan_down(Host& host, bool with_volumes, const Limits& limits);
// Removes it; the state volume stays with its history unless volumes go too.
void down(Host& host, const DownPlan& plan, const DownRequest& request, const Limits& limits);

}  // namespace codops::ops
