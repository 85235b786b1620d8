#include "lib/backup/label.hpp"

#include <algorithm>

#include "lib/base/failure.hpp"

namespace codops::backup {
namespace {

constexpr std::size_t label_size = 16;
// No codops is older: a clock that says so knows nothing.
constexpr WallTime earliest_now{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};
constexpr std::chrono::days furthest_ahead{3653};

std::string label_of(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::seconds>(time - day)};
  return fmt::format("{:04}{:02}{:02}-{:02}{:02}{:02}F", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

WallTime time_of(const std::string& label) {
  const auto text = fmt::format("{}-{}-{}T{}:{}:{}Z", label.substr(0, 4), label.substr(4, 2), label.substr(6, 2),
                                label.substr(9, 2), label.substr(11, 2), label.substr(13, 2));
  return parse_rfc3339(text).value_or(WallTime{});
}

}  // namespace

bool looks_like_label(std::string_view text) {
  if (text.size() != label_size || text[8] != '-' || text.back() != 'F') return false;
  for (std::size_t i = 0; i + 1 < label_size; ++i) {
    if (i != 8 && (text[i] < '0' || text[i] > '9')) return false;
  }
  return true;
}

bool is_label(std::string_view text, WallTime now) {
  if (!looks_like_label(text)) return false;
  const auto time = time_of(std::string{text});
  return label_of(time) == text && time <= std::max(now, earliest_now) + furthest_ahead;
}

void check_tag(std::string_view tag) {
  const auto refuse = [&](std::string_view why) {
    throw Failure{Exit::usage, fmt::format("--label \"{}\" {}", tag, why), "another one, for example: --label \"before v2\""};
  };
  if (tag == latest_word || tag == all_word) refuse("is a word that names backups by itself");
  if (looks_like_label(tag) || looks_like_label(std::string{tag} + "F")) refuse("looks like a backup's own stamp");
  if (tag.find('/') != std::string_view::npos) refuse("has a slash: restore would take it for a file");
  if (tag.starts_with('-')) refuse("begins like an option");
  if (std::any_of(tag.begin(), tag.end(), [](unsigned char c) { return c < 32 || c == 127; })) {
    throw Failure{Exit::usage, "--label has control characters", "another one, for example: --label \"before v2\""};
  }
}

std::string next_label(WallTime now, const std::optional<std::string>& newest) {
  auto label = label_of(now);
  if (newest && label <= *newest) label = label_of(time_of(*newest) + std::chrono::seconds{1});
  if (!is_label(label, now)) {
    throw Failure{Exit::data, fmt::format("after backup {} there is no stamp that would be listed: it is dated ten years ahead of this machine's clock", newest.value_or(label)),
                  "look at the clock (timedatectl), then: codops backup rm ENV " + newest.value_or(label)};
  }
  return label;
}

}  // namespace codops::backup
