#pragma once
// What was there before a run may have been stopped or removed by somebody while it went on: before traffic is led back to it, and after
// an undo, it is made to run again.
#include <functional>
#include <string>
#include <vector>

#include "lib/ops/run_context.hpp"

namespace codops::ops {

// Members of `release` that `which` picks run again and are ready: started where they were stopped, joined to the traffic network where
// they had been taken off it, made of the stored definition where they are gone. Returns the names of those that needed it. One-shot
// services have done their work. Throws Failure where one can't be had.
std::vector<std::string> bring_back(RunContext& context, const release::Release& release,
                                    const std::function<bool(const release::ServiceRecord&, const release::Member&)>& which, const Limits& limits);

}  // namespace codops::ops
