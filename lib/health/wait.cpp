// Round after round until all is healthy.
#include <algorithm>

#include "lib/base/retry.hpp"
#include "lib/health/run.hpp"

namespace codops::health {

Report wait_until_healthy(const std::vector<Check>& checks, const Options& options, const Limits& limits,
                          const std::function<void(const Report&)>& on_round) {
  Backoff pause{Milliseconds{250}, Milliseconds{2000}};
  for (;;) {
    auto report = run(checks, options, limits);
    if (on_round) on_round(report);
    if (report.healthy(options.strict)) return report;
    if (!report.ended_by) {
      try {
        // The last round comes just before the deadline, early enough to end.
        const auto left = limits.deadline.remaining();
        const auto takes = std::chrono::duration_cast<Milliseconds>(report.elapsed) * 2;
        const auto room = left - std::clamp(takes, std::min(Milliseconds{100}, left / 2), left / 2);
        const auto next = std::min(pause.next(), room);
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
