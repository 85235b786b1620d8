#pragma once
// Taking an environment off its host: a journalled run like a deploy. Stopping is undone; once something was removed, the run is only
// ever finished.
#include "lib/ops/host.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops {

// What would go: containers and networks of the project; volumes only with `with_volumes` (they hold the data).
DownPlan plan_down(Host& host, bool with_volumes, const Limits& limits);
// Removes what is there once nobody else can change it, which is what `agreed` has or what request.confirm agrees to. The state volume
// stays with its history unless volumes go too. Returns what was removed.
DownPlan down(Host& host, const DownPlan& agreed, const DownRequest& request, const Limits& limits);

}  // namespace codops::ops
