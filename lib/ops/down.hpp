#pragma once
// Taking an environment off its host.
#include <string>

#include "lib/ops/host.hpp"

namespace codops::ops {

struct DownPlan {
  std::vector<std::string> containers, networks, volumes;
};

// What would go: containers and networks of the project; volumes only with `with_volumes` (they hold the data).
DownPlan plan_down(Host& host, bool with_volumes, const Limits& limits);
// Removes it; the state volume stays with its history unless volumes go too.
void down(Host& host, const DownPlan& plan, bool with_volumes, const std::string& command, Milliseconds lock_wait, const Limits& limits);

}  // namespace codops::ops
