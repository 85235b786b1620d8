#include "lib/engine/kubernetes/log_lines.hpp"

namespace codops::engine::kubernetes {
namespace {

// "2026-11-26T10:00:00.5Z" → "2026-11-26T10:00:00.500000000": comparable as text. Servers write UTC.
std::string comparable_time(std::string_view stamp) {
  constexpr std::size_t to_seconds = 19, digits = 9;
  std::string text{stamp.substr(0, to_seconds)};
  text += '.';
  std::string fraction;
  if (stamp.size() > to_seconds && stamp[to_seconds] == '.') {
    for (auto i = to_seconds + 1; i < stamp.size() && stamp[i] >= '0' && stamp[i] <= '9'; ++i) fraction += stamp[i];
  }
  fraction.resize(digits, '0');
  return text + fraction;
}

}  // namespace

void LogLines::feed(std::string_view bytes) {
  for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    if (rest_.empty()) {
      line(bytes.substr(0, end));
    } else {
      rest_ += bytes.substr(0, end);
      line(rest_);
      rest_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
  rest_ += bytes;
}

void LogLines::cut_off() {
  rest_.clear();
  catching_up_ = !last_.empty();
  repeated_ = 0;
}

void LogLines::end() {
  if (!rest_.empty()) line(std::exchange(rest_, {}));
}

void LogLines::line(std::string_view text) {
  const auto space = text.find(' ');
  const auto stamp = comparable_time(text.substr(0, space));
  if (catching_up_) {
    if (stamp < last_) return;
    if (stamp == last_ && ++repeated_ <= at_last_) return;
    if (stamp > last_) catching_up_ = false;
  }
  if (stamp != last_) {
    last_ = stamp;
    at_last_ = 0;
  }
  ++at_last_;
  each_(space == std::string_view::npos ? std::string_view{} : text.substr(space + 1));
}

std::optional<WallTime> LogLines::since() const {
  if (last_.empty()) return std::nullopt;
  return parse_rfc3339(last_.substr(0, 19) + "Z");
}

}  // namespace codops::engine::kubernetes
