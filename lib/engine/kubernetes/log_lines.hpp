#pragma once
// A log with timestamps, read over several connections: each line once, without its timestamp.
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.hpp"

namespace codops::engine::kubernetes {

class LogLines {
 public:
  explicit LogLines(std::function<void(std::string_view line)> each) : each_{std::move(each)} {}
  void feed(std::string_view bytes);
  // The connection was lost: half a line is forgotten, and what comes next may repeat what was told.
  void cut_off();
  void end();  // the log's end: half a line is a line
  // Where to go on; to the second, which is what servers take.
  std::optional<WallTime> since() const;

 private:
  void line(std::string_view text);

  std::function<void(std::string_view)> each_;
  std::string rest_;
  std::string last_;          // the newest timestamp told, with nine digits
  std::size_t at_last_{0};    // lines told that have it
  std::size_t repeated_{0};   // lines seen since the cut that have it
  bool catching_up_{false};
};

}  // namespace codops::engine::kubernetes
