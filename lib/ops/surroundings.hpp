#pragma once
// What somebody took from around the release that serves, and what can be put right without another container: networks that were removed,
// members that were taken off theirs, restart policies. A proxy or a database is never made anew for that.
#include <string>
#include <vector>

#include "lib/ops/run_context.hpp"

namespace codops::ops {

struct TakenOff {
  const release::ServiceRecord* service{};
  release::Member member;
  std::string network;
};

struct Surroundings {
  std::vector<std::string> networks;  // that are gone
  bool traffic{false};                // gone
  std::vector<TakenOff> off;          // in the order of the release
  std::vector<TakenOff> policies;     // other restart policies; `network` is empty
  bool whole() const { return networks.empty() && !traffic && off.empty() && policies.empty(); }
};

// Pure. While a run is unfinished, only what runs never touch: the sets that it moves come and go.
Surroundings missing_around(const release::Release& current, const Observed& observed);

// Puts it right, and says each. What can't be had stays, with a warning. `context.networks` and its traffic's subnet are those of the run
// that made them: addresses are pinned, and stay true in a network of the same subnet only.
void put_right(RunContext& context, const Surroundings& missing, const Limits& limits);

}  // namespace codops::ops
