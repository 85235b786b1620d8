#pragma once
// Decides, purely: what was observed and what is wanted in, a plan out. Nothing here talks to anything.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/desired.hpp"
#include "lib/ops/observed.hpp"
#include "lib/ops/requests.hpp"
#include "lib/plan/plan.hpp"

namespace codops::ops {

struct PlanOptions {
  std::string verb{"deploy"};
  bool force{false};                   // a new set even where nothing changed
  std::vector<std::string> only;       // deploy ENV service=version, restart ENV service: these alone may change
  std::map<std::string, int> scale;    // service → replicas
  Milliseconds monitor{10'000};
  bool old_set_running{false};
  std::string backup;                  // what is backed up ("database \"shop\" to /backups"); empty: no backup
  std::string migrate;                 // what is applied ("2 migrations"); empty: none
  std::vector<std::string> pre_hooks;  // as text, in order
  std::string token;                   // of the run: part of what is made
};

struct Planned {
  plan::Plan plan;
  release::Release next;                     // for rollback: the old release itself
  std::optional<release::Release> adopted;   // what served before without a record: recorded with this run
  std::optional<release::Release> current;   // what serves, with what others started in its place
  std::vector<std::string> kept_data;        // of a rollback: stateful services whose definition is another one there, and which stay as they are
  std::vector<std::string> intruders;        // containers of the project that nobody recorded: removed with "stop"
};

// The networks that a recorded release joins. Its own are known by their names alone: what options they had is not recorded.
std::vector<NamedObject> networks_of(const release::Release& release);

// Makes release N+1. An empty plan (no steps): nothing changed.
Planned plan_deploy(const Desired& desired, const Observed& observed, const PlanOptions& options);
// Goes to a recorded release.
Planned plan_rollback(const release::Release& target, const ProxySettings& proxy, const Observed& observed,
                      const PlanOptions& options);

// The release that `rollback` goes to: N, a version, or the newest other one that served. Failure{usage} names what there is.
// nullopt: going back from `next` to `current` would change something; else the stateful services that differ, which it leaves alone.
std::optional<std::vector<std::string>> differ_in_data_alone(const release::Release& current, const release::Release& next);
// `replaced`: the one on record serves no more (others' containers do), and is one to go back to.
const release::Release& rollback_target(const release::Snapshot& snapshot, const std::optional<std::string>& to, bool replaced = false);
// Who types `rollback` after a deploy, a scale or a restart that died means that run: where recovery has undone it, nothing more is taken back.
bool was_rolled_back(const Recovery& recovery);
DeployResult rolled_back_already(const Recovery& recovery, const std::optional<release::Release>& serving);

}  // namespace codops::ops
