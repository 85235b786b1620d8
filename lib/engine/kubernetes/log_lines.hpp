#pragma once
// A log with timestamps, read over several connections: each line once, without its timestamp.
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lib/base/clock.hpp"

namespace codops::engine::kubernetes {

class LogLines {
 public:
  // `ended`: the line had its end; only the log's very last one may have none.
  using Each = std::function<void(std::string_view line, bool ended)>;
  explicit LogLines(Each each) : each_{std::move(each)} {}
  void feed(std::string_view bytes);
  // The connection was lost: half a line is forgotten, and what comes next may repeat what was told.
  void cut_off();
  void end();  // the log's end: half a line is a line
  // Where to go on; to the second, which is what servers take. Two streams are written side by side, so that a line may come after one that
  // is younger: a second more is asked for.
  std::optional<WallTime> since() const;
  // All that was taken so far, half a line too: more of it than before means that the log still grows.
  std::size_t taken() const noexcept { return told_ + rest_.size(); }

 private:
  void line(std::string_view text, bool ended);

  Each each_;
  std::string rest_;
  std::size_t told_{0};
  // By second ("2026-11-26T10:00:00"), the newest two: the lines told of it by their fraction ("123456789"), and how many.
  using Fractions = std::unordered_map<std::string, std::size_t>;
  std::map<std::string, Fractions> told_at_, repeated_;
};

}  // namespace codops::engine::kubernetes
