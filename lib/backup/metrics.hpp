#pragma once
// For node-exporter's textfile collector.
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.hpp"

namespace codops::backup {

struct Metrics {
  std::string environment;
  WallTime last_attempt{};
  std::optional<WallTime> last_success;  // of the newest sound backup, whoever took it
  std::uint64_t size{};                  // its
  Milliseconds duration{};               // its
  std::optional<WallTime> restore_verified;  // the newest successful drill
};

std::string to_exposition(const Metrics& metrics);
// What an earlier to_exposition() said of that environment; nothing for what is not there.
Metrics from_exposition(std::string_view text, const std::string& environment);
// Atomic, mode 0644.
void write_metrics(const std::filesystem::path& file, const Metrics& metrics);

}  // namespace codops::backup
