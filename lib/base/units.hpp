#pragma once
// Durations and byte sizes as people and configuration files write them.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.hpp"

namespace codops {

// "90s", "1m30s", "1.5h", "500ms", "2d", "1w", "250us"; a bare number is seconds. nullopt: not a duration.
std::optional<std::chrono::microseconds> parse_duration(std::string_view text);
// "64M", "1.5g", "512kb", "10MiB", "123": binary multiples, as Docker and Compose read them. nullopt: not a size.
std::optional<std::uint64_t> parse_bytes(std::string_view text);

// For people: "0.3 s", "4.2 s", "1 min 5 s", "3 h 2 min", "2 d 4 h".
std::string format_duration(Milliseconds duration);
// For people, coarse: "12 s ago", "3 h ago", "21 d ago".
std::string format_age(Milliseconds age);
// For people, decimal: "108 MB", "1.2 GB", "512 B".
std::string format_bytes(std::uint64_t bytes);

}  // namespace codops
