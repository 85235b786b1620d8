#pragma once
// What was there before a run may have been stopped or removed by somebody while it went on, or by an engine that crashed: before traffic
// is led back to it, and after an undo, it is made to run again.
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "lib/ops/run_context.hpp"

namespace codops::ops {

// Of members that run and are not ready yet: an engine that came back started them. What this run's own undo started is awaited in any case.
enum class Booting { left, awaited };

// Members of `release` that `which` picks run again and are ready, in the order of dependencies: started where they were stopped, joined to
// the traffic network where they had been taken off it, made of the stored definition where they are gone. Returns the names of those that
// needed it. One-shot services have done their work. Throws Failure where one can't be had.
std::vector<std::string> bring_back(RunContext& context, const release::Release& release,
                                    const std::function<bool(const release::ServiceRecord&, const release::Member&)>& which, Booting booting,
                                    const Limits& limits);

// Before traffic is led back: the rolling services of what served before, and what they depend on. Where the run has replaced such a
// dependency, the one that it made does until its own step is undone.
std::vector<std::string> bring_back_traffic(RunContext& context, const Limits& limits);

// The services that roll, and all that they depend on, by name; not the proxy: it is led back, and then started.
std::set<std::string> needed_for_traffic(const release::Release& release);

}  // namespace codops::ops
