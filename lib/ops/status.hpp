#pragma once
// What runs, and whether it is what the release says.
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/host.hpp"
#include "lib/ops/observed.hpp"

namespace codops::ops {

struct ServiceStatus {
  std::string name;
  release::Role role{};
  int wanted{}, running{}, healthy{};
  bool has_health{false};
  std::string image, image_id;
  std::vector<std::string> ports;
  std::optional<Milliseconds> up;  // of the youngest container
};

struct Status {
  std::string environment, engine;
  std::optional<release::Release> release;
  std::vector<ServiceStatus> services;
  std::vector<std::string> drift;       // what differs from the release, a line each
  std::vector<std::string> by_hand;     // such as no deploy mends: each says what does
  std::vector<std::string> left_running;  // data that the release does not have, and that no deploy or rollback stops: no drift
  std::optional<std::string> unfinished; // "deploy v1.2.0 (release 13) died at step start"
  std::optional<std::string> running;   // who holds the lock
  std::optional<release::HistoryEntry> last;
  std::vector<std::string> damaged;     // paths in the state that can't be read
  std::vector<int> altered_history;     // entries whose chain of hashes is broken
  bool maintenance{false};
  bool led_astray{false};  // the proxy reads other upstreams than the release's, or was taken off the network where it reaches them
  WallTime now{};

  bool healthy() const;
  bool drifted() const { return !drift.empty() || !by_hand.empty(); }
  bool serves_well() const;  // the same, whatever was begun and not ended
};

// Pure: what an observation amounts to.
// `old_set_running`: the set before may run too.
Status status_of(const Observed& observed, const std::string& project, const std::string& environment, bool old_set_running);
Status status(Host& host, const Limits& limits);

// For people and as JSON.
std::string text(const Status& status);
std::string json(const Status& status);

}  // namespace codops::ops
