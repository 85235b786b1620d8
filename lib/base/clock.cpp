#include "lib/base/clock.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <limits>
#include <string_view>

namespace codops {
namespace {

constexpr std::array<std::string_view, 12> month_names{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::optional<WallTime> civil(int year, int month, int day, int hour, int minute, int second) {
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok() || hour > 24 || minute > 59 || second > 60) return std::nullopt;
  return WallTime{std::chrono::sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
                  std::chrono::seconds{second}};
}

}  // namespace

WallTime SystemClock::now() const {
  return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now());
}

std::chrono::steady_clock::time_point SystemClock::steady() const { return std::chrono::steady_clock::now(); }

Milliseconds SystemClock::since_boot() const {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return Milliseconds{time.tv_sec * 1000 + time.tv_nsec / 1'000'000};
}

std::string to_rfc3339(WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{time - days};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  int year{}, month{}, day{}, hour{}, minute{}, second{}, used{};
  const std::string copy{text};
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second,
                  &used) != 6) {
    return std::nullopt;
  }
  auto rest = std::string_view{copy}.substr(static_cast<std::size_t>(used));
  int milliseconds = 0;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    int scale = 100;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      milliseconds += (rest.front() - '0') * scale;
      scale /= 10;
      rest.remove_prefix(1);
    }
  }
  int offset_minutes = 0;
  if (rest != "Z" && rest != "z") {
    int hours{}, minutes{};
    char sign{};
    const std::string zone{rest};
    if (std::sscanf(zone.c_str(), "%c%2d:%2d", &sign, &hours, &minutes) != 3 || (sign != '+' && sign != '-')) {
      return std::nullopt;
    }
    offset_minutes = (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
  }
  auto time = civil(year, month, day, hour, minute, second);
  if (!time) return std::nullopt;
  return *time + Milliseconds{milliseconds} - std::chrono::minutes{offset_minutes};
}

std::optional<WallTime> parse_http_date(std::string_view text) {
  int year{}, day{}, hour{}, minute{}, second{};
  std::array<char, 4> month{};
  const std::string copy{text};
  if (std::sscanf(copy.c_str(), "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, month.data(), &year, &hour, &minute,
                  &second) != 6) {
    return std::nullopt;
  }
  for (std::size_t index = 0; index < month_names.size(); ++index) {
    if (month_names[index] == month.data()) {
      return civil(year, static_cast<int>(index) + 1, day, hour, minute, second);
    }
  }
  return std::nullopt;
}

Deadline Deadline::after(Milliseconds duration) { return Deadline{std::chrono::steady_clock::now() + duration}; }

bool Deadline::expired() const { return !is_never() && std::chrono::steady_clock::now() >= time_; }

Milliseconds Deadline::remaining() const {
  if (is_never()) return Milliseconds::max();
  const auto left = std::chrono::ceil<Milliseconds>(time_ - std::chrono::steady_clock::now());
  return left.count() < 0 ? Milliseconds{0} : left;
}

int Deadline::poll_timeout() const {
  if (is_never()) return -1;
  const auto left = remaining().count();
  return left > std::numeric_limits<int>::max() ? std::numeric_limits<int>::max() : static_cast<int>(left);
}

}  // namespace codops
