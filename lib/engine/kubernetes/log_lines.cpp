#include "lib/engine/kubernetes/log_lines.hpp"

namespace codops::engine::kubernetes {
namespace {

constexpr std::size_t to_seconds = 19, digits = 9;
constexpr std::size_t seconds_kept = 2;

// "2026-11-26T10:00:00.5Z" → "500000000"
std::string fraction_of(std::string_view stamp) {
  std::string fraction;
  if (stamp.size() > to_seconds && stamp[to_seconds] == '.') {
    for (auto i = to_seconds + 1; i < stamp.size() && stamp[i] >= '0' && stamp[i] <= '9'; ++i) fraction += stamp[i];
  }
  fraction.resize(digits, '0');
  return fraction;
}

}  // namespace

void LogLines::feed(std::string_view bytes) {
  for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    if (rest_.empty()) {
      line(bytes.substr(0, end), true);
    } else {
      rest_ += bytes.substr(0, end);
      line(rest_, true);
      rest_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
  rest_ += bytes;
}

void LogLines::cut_off() {
  rest_.clear();
  repeated_ = told_at_;
}

void LogLines::end() {
  if (!rest_.empty()) line(std::exchange(rest_, {}), false);
}

void LogLines::line(std::string_view text, bool ended) {
  const auto space = text.find(' ');
  const auto stamp = text.substr(0, space);
  const std::string second{stamp.substr(0, to_seconds)};
  const auto fraction = fraction_of(stamp);
  if (const auto before = repeated_.find(second); before != repeated_.end()) {
    const auto same = before->second.find(fraction);
    if (same != before->second.end() && same->second > 0) {
      --same->second;
      return;
    }
  } else if (!repeated_.empty() && second < repeated_.begin()->first) {
    return;  // older than what was asked for: told long ago
  }
  ++told_at_[second][fraction];
  while (told_at_.size() > seconds_kept) told_at_.erase(told_at_.begin());
  const auto words = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  told_ += text.size() + 1;
  each_(words, ended);
}

std::optional<WallTime> LogLines::since() const {
  if (told_at_.empty()) return std::nullopt;
  return parse_rfc3339(told_at_.begin()->first + "Z");
}

}  // namespace codops::engine::kubernetes
