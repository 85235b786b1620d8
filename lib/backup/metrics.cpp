#include "lib/backup/metrics.hpp"

#include "lib/io/files.hpp"

namespace codops::backup {
namespace {

double seconds(WallTime time) { return static_cast<double>(time.time_since_epoch().count()) / 1000.0; }

std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? ' ' : c;
  }
  return text;
}

}  // namespace

std::string to_exposition(const Metrics& metrics) {
  const auto labels = fmt::format("{{environment=\"{}\"}}", escaped(metrics.environment));
  std::string text;
  const auto add = [&](std::string_view name, std::string_view help, double value) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n{0}{2} {3:.3f}\n", name, help, labels, value);
  };
  add("codops_backup_last_attempt_timestamp_seconds", "When a backup was last tried.", seconds(metrics.last_attempt));
  if (metrics.last_success) {
    add("codops_backup_last_success_timestamp_seconds", "When the newest sound backup was published.",
        seconds(*metrics.last_success));
    add("codops_backup_size_bytes", "Size of the newest sound backup as stored.", static_cast<double>(metrics.size));
    add("codops_backup_duration_seconds", "How long the newest sound backup took.",
        static_cast<double>(metrics.duration.count()) / 1000.0);
  }
  if (metrics.restore_verified) {
    add("codops_restore_verified_timestamp_seconds", "When a backup was last restored and found to be the same.",
        seconds(*metrics.restore_verified));
  }
  return text;
}

Metrics from_exposition(std::string_view text, const std::string& environment) {
  Metrics metrics;
  metrics.environment = environment;
  const auto value = [&](std::string_view name) -> std::optional<Milliseconds> {
    const auto line = fmt::format("\n{}{{environment=\"{}\"}} ", name, escaped(environment));
    const auto at = text.find(line);
    if (at == std::string_view::npos) return std::nullopt;
    const auto seconds = std::strtod(std::string{text.substr(at + line.size(), 40)}.c_str(), nullptr);
    if (!(seconds >= 0 && seconds < 1e15)) return std::nullopt;
    return Milliseconds{static_cast<std::int64_t>(seconds * 1000.0 + 0.5)};
  };
  const auto size = value("codops_backup_size_bytes");
  if (const auto time = value("codops_backup_last_success_timestamp_seconds")) metrics.last_success = WallTime{*time};
  if (size) metrics.size = static_cast<std::uint64_t>(size->count() / 1000);
  metrics.duration = value("codops_backup_duration_seconds").value_or(Milliseconds{});
  if (const auto time = value("codops_restore_verified_timestamp_seconds")) metrics.restore_verified = WallTime{*time};
  return metrics;
}

void write_metrics(const std::filesystem::path& file, const Metrics& metrics) {
  io::write_file(file, to_exposition(metrics), 0644);
}

}  // namespace codops::backup
