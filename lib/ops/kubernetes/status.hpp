#pragma once
// What runs, and whether it is what the release says.
#include "lib/kube/summary.hpp"
#include "lib/ops/kubernetes/observed.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops::kubernetes {

struct Status {
  std::string environment, engine;
  std::optional<release::Release> release;
  std::vector<kube::WorkloadSummary> workloads;
  std::vector<std::string> abandoned;  // Jobs of `run` that go on without their client: "namespace/name"
  std::vector<std::string> unreached;    // Services that lead to no ready pod, a line each
  std::vector<std::string> drift;        // what differs from the release, a line each
  std::optional<std::string> unfinished; // "deploy v1.2.0 (release 13) died at step rollout"
  std::optional<std::string> running;    // who holds the lock
  std::optional<release::HistoryEntry> last;
  std::vector<std::string> damaged;
  std::vector<int> altered_history;
  bool unknown{false};  // what the release was made of can't be read
  WallTime now{};

  bool healthy() const;
};

Status status_of(Cluster& cluster, const Limits& limits);
std::string text(const Status& status);
std::string json(const Status& status);

// One workload of the release that serves, as `health-check` asks for it. nullopt: it is not there.
std::optional<kube::WorkloadSummary> workload_summary(Cluster& cluster, const std::string& name, const Observed& observed, const Limits& limits);

}  // namespace codops::ops::kubernetes
