#pragma once
// The steps of a `down`, and who runs them: the command itself, or the one that finds it unfinished.
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/observed.hpp"
#include "lib/ops/requests.hpp"
#include "lib/ops/run_context.hpp"
#include "lib/plan/journal.hpp"
#include "lib/plan/plan.hpp"

namespace codops::ops {

inline constexpr const char* down_verb = "down";

// Pure. The front first, so that no request finds half an application; what keeps data last.
plan::Plan steps_of_down(const DownPlan& what, const Observed& observed, const std::optional<release::Release>& current, const std::string& environment,
                         const std::string& run);
// The step from which on nothing can be brought back; the number of steps: there is none.
std::size_t point_of_no_return(const plan::Plan& plan);

struct DownOutcome {
  std::optional<Failure> failure;
  std::size_t failed{};                    // index of its step
  std::size_t begun{};                     // steps of the plan that were begun, all before them included
  std::vector<std::string> left_networks;  // others use them
  std::vector<std::string> left_volumes;
};

// From the step `first` on, each journalled before it begins (the first one's entry may be in the journal already). Never throws Failure.
DownOutcome run_down(RunContext& context, const plan::Plan& plan, plan::Journal& journal, std::size_t first, bool first_written, const Limits& limits);
// Starts again what the steps `last` and before stopped, those that everything else needs first. Throws Failure.
void undo_down(RunContext& context, const plan::Plan& plan, plan::Journal& journal, std::size_t last, const Limits& limits);

}  // namespace codops::ops
