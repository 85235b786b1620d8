#pragma once
// Going back without a plan: a journal whose plan is torn, altered or gone still names its run, and whatever that run made
// carries the run's token.
#include <string>

#include "lib/ops/observed.hpp"
#include "lib/ops/run_context.hpp"

namespace codops::ops {

// Leads traffic to `context.current` (brought up again where it was stopped) and removes every container of `run` that no
// release which served has. Without a current release only the removal. Returns how many were removed.
int recover_blind(RunContext& context, const Observed& observed, const std::string& run, const Limits& limits);

}  // namespace codops::ops
