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

std::string readable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
    bool whole = size > 0 && i + size <= text.size();
    for (std::size_t j = 1; whole && j < size; ++j) whole = (static_cast<unsigned char>(text[i + j]) & 0xC0) == 0x80;
    if (whole && size > 1) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      // Overlong forms, surrogates, beyond Unicode, and the control characters of U+0080 to U+009F.
      whole = !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second > 0x9F) && !(lead == 0xF0 && second < 0x90) &&
              !(lead == 0xF4 && second > 0x8F) && !(lead == 0xC2 && second < 0xA0) && !(lead == 0xEF && second == 0xBF && static_cast<unsigned char>(text[i + 2]) >= 0xBE);
    }
    if (!whole) {
      out.push_back('?');
      ++i;
      continue;
    }
    if (size == 1) out.push_back(lead < 0x20 || lead == 0x7f ? ' ' : text[i]);
    else out.append(text.substr(i, size));
    i += size;
  }
  return out;
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
