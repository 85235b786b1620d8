#include "lib/health/outcome.hpp"

#include <algorithm>

namespace codops::health {

std::string_view to_string(Status status) {
  switch (status) {
    case Status::ok: return "ok";
    case Status::warn: return "warn";
    case Status::fail: return "fail";
    case Status::unknown: return "unknown";
    case Status::skipped: return "skipped";
  }
  return "unknown";
}

std::size_t Report::count(Status status) const {
  return static_cast<std::size_t>(
      std::count_if(outcomes.begin(), outcomes.end(), [&](const auto& outcome) { return outcome.status == status; }));
}

bool Report::healthy(bool strict) const { return exit(strict) == Exit::ok; }

Exit Report::exit(bool strict) const {
  if (ended_by == Exit::interrupted || ended_by == Exit::terminated) return *ended_by;
  const bool failed = std::any_of(outcomes.begin(), outcomes.end(), [](const auto& outcome) {
    return outcome.status == Status::fail && !outcome.cut;
  });
  if (failed) return Exit::unhealthy;
  if (ended_by == Exit::deadline) return Exit::deadline;
  if (count(Status::unknown) + count(Status::skipped) > 0) return Exit::unknown;
  return strict && count(Status::warn) > 0 ? Exit::failed : Exit::ok;
}

}  // namespace codops::health
