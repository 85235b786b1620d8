#pragma once
// What a run of checks found; every report format is a pure function of this.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/probe.hpp"

namespace codops::health {

enum class Status { ok, warn, fail, unknown, skipped };
std::string_view to_string(Status status);

// What servers, commands and users said, fit for every format: bytes that are no UTF-8 and control characters replaced.
std::string readable(std::string_view text);

struct Metric {
  std::string label;  // "time", "certificate", "connections"
  double value{};
  std::string unit;   // "s", "%", "B", "d" or nothing
  std::optional<double> warn, fail, min, max;
  bool low_is_bad{false};  // the limits are crossed downward
};

struct Outcome {
  std::string name, kind, target;  // target with secrets hidden
  Status status{Status::unknown};
  io::Stage stage{io::Stage::none};  // where it went wrong
  std::string message, hint;
  io::StageTimes times;              // of the last attempt
  std::chrono::microseconds elapsed{0};  // of the last attempt
  int attempts{0};
  bool cut{false};                   // the total deadline or a signal ended it
  std::string address;               // of the peer
  std::optional<io::TlsFacts> tls;
  std::optional<long> http_status;
  std::string http_version;
  std::map<std::string, std::string> captured;  // the headers that the check wanted kept
  std::vector<Metric> metrics;
};

struct Report {
  std::vector<Outcome> outcomes;  // in the order of the checks
  WallTime started;
  std::chrono::microseconds elapsed{0};
  std::optional<Exit> ended_by;   // deadline, interrupted, terminated: what cut the run short

  std::size_t count(Status status) const;
  bool healthy(bool strict = false) const;  // none failed or unknown or skipped; strict: none warned
  // 0, 2 (any failed), 124 (cut by the deadline), 130/143, 3 (could not find out), 1 (a warning, when strict).
  Exit exit(bool strict = false) const;
};

}  // namespace codops::health
