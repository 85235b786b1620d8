#pragma once
// A backup's stamp, "20261123-101500F", and what a --label beside it may be.
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.hpp"

namespace codops::backup {

// Words that name backups by themselves.
inline constexpr std::string_view latest_word = "latest", all_word = "all";

// The shape alone.
bool looks_like_label(std::string_view text);
// "20261123-101500F" with a date and time that there is, no more than ten years ahead of the clock (or of this program, should the
// clock have started at 1970): no clock is that wrong, and past the year 9999 there is no next stamp.
bool is_label(std::string_view text, WallTime now);

// The next label: the time, or one second after the newest label when the clock is behind it. Failure{data} when that would be
// later than any stamp may be.
std::string next_label(WallTime now, const std::optional<std::string>& newest);

// What a --label may be, so that every word that names a backup names one only: Failure{usage} for latest, all, a backup's own
// stamp, what restore would take for a file, and control characters.
void check_tag(std::string_view tag);

}  // namespace codops::backup
