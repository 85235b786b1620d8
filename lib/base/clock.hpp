#pragma once
// Time as an argument: nothing in codops reads a clock except through this interface, so that tests use a manual one.
#include <chrono>
#include <optional>
#include <string>

namespace codops {

using Milliseconds = std::chrono::milliseconds;
using WallTime = std::chrono::sys_time<Milliseconds>;  // UTC

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime now() const = 0;
  virtual std::chrono::steady_clock::time_point steady() const = 0;
  // Time since boot including suspension (CLOCK_BOOTTIME): a laptop that slept notices.
  virtual Milliseconds since_boot() const = 0;
};

class SystemClock final : public Clock {
 public:
  WallTime now() const override;
  std::chrono::steady_clock::time_point steady() const override;
  Milliseconds since_boot() const override;
};

// RFC 3339 in UTC with milliseconds: "2026-11-23T10:15:00.250Z".
std::string to_rfc3339(WallTime time);
// Accepts any fraction and offset; nullopt when the text is not RFC 3339.
std::optional<WallTime> parse_rfc3339(std::string_view text);
// An HTTP date (RFC 9110, IMF-fixdate): "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<WallTime> parse_http_date(std::string_view text);

// A point on the steady clock by which something must have ended. never() has no end.
class Deadline {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static Deadline never() { return Deadline{TimePoint::max()}; }
  static Deadline after(Milliseconds duration);
  static Deadline at(TimePoint time) { return Deadline{time}; }

  bool is_never() const noexcept { return time_ == TimePoint::max(); }
  bool expired() const;
  Milliseconds remaining() const;  // never negative; Milliseconds::max() for never()
  int poll_timeout() const;        // for poll(2): -1 for never(), rounded up
  Deadline sooner(Deadline other) const { return time_ < other.time_ ? *this : other; }
  TimePoint time() const noexcept { return time_; }

 private:
  explicit Deadline(TimePoint time) : time_{time} {}
  TimePoint time_;
};

}  // namespace codops
