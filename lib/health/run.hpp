#pragma once
// All checks at once on one event loop, within one deadline.
#include <functional>
#include <vector>

#include "lib/health/check.hpp"
#include "lib/health/outcome.hpp"

namespace codops::health {

struct Options {
  std::size_t parallel{500};  // at most; fewer when this process may not open that many files
  std::function<void(const Outcome&)> on_outcome;  // each as it is settled, on the calling thread
  std::function<Report(Report)> settle;             // the last word on a report; see keep_offered()
  bool strict{false};                               // waiting goes on while something warns
  io::Resolver::Lookup lookup;                      // for tests; empty: the system's
};

// Runs every check. Never longer than the deadline of `limits` and a few milliseconds: I/O in flight is cut there, and
// the outcome says in which stage. A cancellation ends it the same way and shows in Report::ended_by; neither throws.
// Throws Failure{config} for zero checks, a name twice, an unknown or circular `after`.
Report run(const std::vector<Check>& checks, const Options& options, const Limits& limits);

// Runs again and again, with pauses from 250 ms to 2 s, until all is healthy or `limits` end it. `on_round` sees each
// report before the pause. The last report is returned; its exit is 124 when the deadline came first.
Report wait_until_healthy(const std::vector<Check>& checks, const Options& options, const Limits& limits,
                          const std::function<void(const Report&)>& on_round = {});

}  // namespace codops::health
