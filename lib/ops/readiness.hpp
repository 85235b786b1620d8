#pragma once
// Waiting until containers are ready, by the engine's events; and watching that they stay so.
#include <functional>
#include <string>
#include <vector>

#include "lib/ops/run_context.hpp"

namespace codops::ops {

struct Awaited {
  const release::ServiceRecord* service{};
  release::Member member;
  // It was started a while ago, by the engine perhaps, and what it depends on may have come after it: that it is unhealthy or was
  // restarted is not the last word.
  bool patient{false};
};

// Docker's health check where there is one, else the HTTP probe or the TCP connect that service.ready names, else that it
// runs, a proxy with nginx's workers; a one-shot: that it exits with 0. Throws Failure{failed} at once when one of them stops or turns unhealthy, and
// when service.ready's or the context's time is over. `progress` gets "backend 2/3 healthy · 1 starting".
void wait_ready(RunContext& context, const std::vector<Awaited>& awaited, const std::function<void(const std::string&)>& progress,
                const Limits& limits);

// Members of a release by the names of their containers.
std::vector<Awaited> members_named(const release::Release& release, const std::vector<std::string>& containers);

// Of members that run already and go on serving: they may boot still, as after a restart of the engine. Waits for those; one that has been
// unhealthy for longer than booting takes is left to its fate: a service may be scaled up because it is.
void wait_kept(RunContext& context, const std::vector<Awaited>& members, const std::function<void(const std::string&)>& progress,
               const Limits& limits);

// Runs until `until`, `ask` each `every`; throws Failure as soon as one of the containers dies, restarts, turns
// unhealthy or runs out of memory, or `ask` throws.
void watch_members(RunContext& context, const std::vector<std::string>& containers, Deadline until, Milliseconds every,
                   const std::function<void()>& ask, const Limits& limits);

}  // namespace codops::ops
