// Round after round until all is healthy.
#include <algorithm>

#include "lib/base/retry.hpp"
#include "lib/health/run.hpp"

namespace codops::health {
namespace {

// What a round takes if all answer as they did. Whoever was silent for its whole time may be quick once it is there.
Milliseconds time_of(const std::vector<Check>& checks, const Report& round) {
  constexpr Milliseconds at_the_limit{10};
  std::chrono::microseconds longest{0};
  for (std::size_t i = 0; i < checks.size(); ++i) {
    const auto& outcome = round.outcomes[i];
    if (outcome.attempts > 0 && outcome.elapsed + at_the_limit < checks[i].timeout) longest = std::max(longest, outcome.elapsed);
  }
  return std::chrono::duration_cast<Milliseconds>(longest);
}

Report settled(const Options& options, Report report) { return options.settle ? options.settle(std::move(report)) : report; }

// The end of the wait is no verdict on a check that it cut: what its last whole round found says more. Unless all would then
// seem well, which no round has found.
Report cut_short(const Options& options, Report cut, const std::vector<Outcome>& whole) {
  if (whole.empty()) return settled(options, std::move(cut));
  auto kept = cut;
  for (std::size_t i = 0; i < kept.outcomes.size(); ++i) {
    if (kept.outcomes[i].cut) kept.outcomes[i] = whole[i];
  }
  kept = settled(options, std::move(kept));
  const bool well = std::all_of(kept.outcomes.begin(), kept.outcomes.end(), [&](const Outcome& outcome) {
    return outcome.status == Status::ok || (outcome.status == Status::warn && !options.strict);
  });
  return well ? settled(options, std::move(cut)) : kept;
}

}  // namespace

Report wait_until_healthy(const std::vector<Check>& checks, const Options& options, const Limits& limits,
                          const std::function<void(const Report&)>& on_round) {
  Backoff pause{Milliseconds{250}, Milliseconds{2000}};
  auto unsettled = options;
  unsettled.settle = {};
  std::vector<Outcome> whole;  // of the last round that nothing cut
  for (;;) {
    auto round = run(checks, unsettled, limits);
    const auto takes = time_of(checks, round);
    if (!round.ended_by) whole = round.outcomes;
    auto report = round.ended_by ? cut_short(options, std::move(round), whole) : settled(options, std::move(round));
    if (on_round) on_round(report);
    if (report.healthy(options.strict)) return report;
    if (!report.ended_by) {
      try {
        // The last round comes just before the deadline, early enough to end.
        const auto left = limits.deadline.remaining();
        const auto needed = std::max(takes * 5 / 4 + Milliseconds{20}, std::min(Milliseconds{100}, left / 2));
        const auto next = std::min(pause.next(), left - needed);
        if (next >= Milliseconds{50}) {
          limits.within(next).wait(-1, 0);
          continue;
        }
        report.ended_by = Exit::deadline;
      } catch (const Failure& failure) {
        report.ended_by = failure.code();
      }
    }
    // Not well by the deadline: nothing of it is final, so the deadline is the answer.
    for (auto& outcome : report.outcomes) outcome.cut = outcome.cut || outcome.status == Status::fail;
    return report;
  }
}

}  // namespace codops::health
