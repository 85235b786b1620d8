#include "lib/base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace codops {
namespace {

// A leading decimal number; moves `text` past it.
std::optional<double> take_number(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && ((text[length] >= '0' && text[length] <= '9') || text[length] == '.')) ++length;
  if (length == 0) return std::nullopt;
  double value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + length, value);
  if (error != std::errc{} || end != text.data() + length) return std::nullopt;
  text.remove_prefix(length);
  return value;
}

constexpr std::array<std::pair<std::string_view, double>, 9> duration_units{{
    {"us", 1.0}, {"µs", 1.0}, {"ms", 1e3}, {"ns", 1e-3}, {"s", 1e6},
    {"m", 60e6}, {"h", 3600e6}, {"d", 86400e6}, {"w", 7 * 86400e6},
}};

}  // namespace

std::optional<std::chrono::microseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double total = 0;
  bool bare_allowed = true;
  while (!text.empty()) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    if (text.empty() && bare_allowed) {
      total += *number * 1e6;
      break;
    }
    bool found = false;
    for (const auto& [unit, factor] : duration_units) {
      const bool longer_follows = unit == "m" && text.starts_with("ms");
      if (!longer_follows && text.starts_with(unit)) {
        total += *number * factor;
        text.remove_prefix(unit.size());
        found = true;
        break;
      }
    }
    if (!found) return std::nullopt;
    bare_allowed = false;
  }
  if (total > 9e18) return std::nullopt;
  return std::chrono::microseconds{std::llround(total)};
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  std::string unit;
  for (const char letter : text) unit += static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
  if (unit.ends_with("ib")) unit.erase(unit.size() - 2);
  else if (unit.size() == 2 && unit.back() == 'b') unit.pop_back();
  double factor{};
  if (unit.empty() || unit == "b") factor = 1;
  else if (unit == "k") factor = 1024.0;
  else if (unit == "m") factor = 1024.0 * 1024;
  else if (unit == "g") factor = 1024.0 * 1024 * 1024;
  else if (unit == "t") factor = 1024.0 * 1024 * 1024 * 1024;
  else if (unit == "p") factor = 1024.0 * 1024 * 1024 * 1024 * 1024;
  else return std::nullopt;
  const double bytes = *number * factor;
  if (bytes >= 1.8e19) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

std::string format_duration(Milliseconds duration) {
  const auto ms = duration.count();
  if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  const auto seconds = ms / 1000;
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

std::string format_age(Milliseconds age) {
  const auto seconds = age.count() / 1000;
  if (seconds < 60) return fmt::format("{} s ago", seconds < 0 ? 0 : seconds);
  if (seconds < 3600) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} d ago", seconds / 86400);
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> names{"kB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t index = 0;
  value /= 1000;
  while (value >= 999.5 && index + 1 < names.size()) {
    value /= 1000;
    ++index;
  }
  return value < 10 ? fmt::format("{:.1f} {}", value, names[index]) : fmt::format("{:.0f} {}", value, names[index]);
}

}  // namespace codops
