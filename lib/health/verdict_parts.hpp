#pragma once
// What verdicts of several kinds of checks are made of; only for their own sources.
#include "lib/health/check.hpp"

namespace codops::health {

inline Finding found(Status status, io::Stage stage, std::string message, std::string hint) {
  return {status, stage, std::move(message), std::move(hint), {}};
}

inline std::optional<double> as_double(const std::optional<int>& value) {
  return value ? std::optional{static_cast<double>(*value)} : std::nullopt;
}

// A percentage beside its two limits.
inline Status level(double value, std::optional<double> warn, std::optional<double> fail) {
  if (fail && value >= *fail) return Status::fail;
  return warn && value >= *warn ? Status::warn : Status::ok;
}

}  // namespace codops::health
