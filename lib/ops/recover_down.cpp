// A `down` that died: finished, for that is what was asked; undone only where it had turned back itself or `abort` asks, and nothing of it
// is removed yet.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/ops/down_steps.hpp"
#include "lib/ops/maintenance.hpp"
#include "lib/ops/run_record.hpp"
#include "lib/ops/transaction.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

constexpr Milliseconds undo_time_of_recovered_down{60'000};

std::optional<release::Release> release_before(const plan::Plan& plan) {
  const auto extra = Json::parse(plan.context);
  if (!extra.contains("current") || !extra.at("current").is_object()) return std::nullopt;
  return release::release_from_json(extra.at("current").dump());
}

// A removal that was begun may not have come to its first container.
bool all_there(const plan::Step& step, const Observed& observed) {
  const auto args = Json::parse(step.args);
  if (!args.contains("containers")) return false;
  return std::all_of(args.at("containers").begin(), args.at("containers").end(), [&](const auto& name) { return observed.container(name.template get<std::string>()) != nullptr; });
}

}  // namespace

void Transaction::recover_down(const plan::Record& found, const plan::Plan& plan, std::size_t last, plan::Journal journal, RecoveryWay way, const Limits& limits) {
  const auto current = release_before(plan);
  const auto& died_at = plan.steps[last].name;
  const bool removed = last >= point_of_no_return(plan) && !(last == point_of_no_return(plan) && all_there(plan.steps[last], observed_));
  const bool wants_back = way == RecoveryWay::back || had_turned_back(found);
  recovery_.forward = removed || !wants_back;
  host_.reporter().note(fmt::format("an earlier down of {} (release {}) died at step {}: {}", plan.version, plan.release, died_at,
                                    !recovery_.forward ? "starting again what it stopped"
                                    : wants_back       ? "a part of it is removed, which can't be undone: finishing it"
                                                       : "finishing it"));
  auto run_context = context(current.value_or(release::Release{}), current, Desired{});
  run_context.token = plan.run;
  auto entry = entry_for(plan, found.entries.empty() ? now() : found.entries.front().at, owner_);
  entry.from = 0;
  entry.from_version.clear();
  entry.run = found.run;
  entry.failed_step = died_at;
  std::vector<target::StateStore::File> more;
  if (recovery_.forward) {
    const auto outcome = run_down(run_context, plan, journal, !found.doubtful() ? last : 0, false, limits);
    if (outcome.failure) {
      if (outcome.failure->code() == Exit::locked) throw Failure{*outcome.failure};
      throw Failure{outcome.failure->code(),
                    fmt::format("an earlier down of {} could not be finished, at step {}: {}", plan.environment, plan.steps[outcome.failed].name, outcome.failure->message()),
                    fmt::format("codops resume {} tries again", plan.environment)};
    }
    if (!outcome.left_volumes.empty()) {
      host_.reporter().warn(fmt::format("volumes {} stay with their data; remove what uses them, then: codops down {} --volumes", fmt::join(outcome.left_volumes, ", "), plan.environment));
    }
    entry.result = "ok";
    entry.message = fmt::format("the run died at step {}; the next command finished it", died_at);
    if (observed_.snapshot.maintenance) more.push_back(maintenance_off());
  } else {
    entry.result = "undone";
    entry.exit = static_cast<int>(Exit::failed);
    entry.message = fmt::format("the run died at step {}; the next command undid it", died_at);
    try {
      undo_down(run_context, plan, journal, last, limits.within(undo_time_of_recovered_down));
    } catch (const Failure& failure) {
      if (failure.code() == Exit::locked || failure.code() == Exit::interrupted || failure.code() == Exit::terminated) throw;
      // It only stands still: status says what, and the next deploy starts it. Kept open, this would stand in that deploy's way.
      host_.reporter().warn(fmt::format("what it had stopped could not all be started again: {}; a deploy does it", failure.message()));
      entry.result = "undo failed";
    }
  }
  more.push_back(journal.entry_file("ended", {}, entry.result));
  record(entry, limits, std::move(more));
  recovery_.text = fmt::format("{} down of {} (release {}), which had died at step {}", recovery_.forward ? "finished" : "undid", plan.version, plan.release, died_at);
  host_.reporter().note(recovery_.text);
  observe_again(limits);
}

}  // namespace codops::ops
