#pragma once
// The steps from what serves to a release whose members are decided. Shared by deploy, scale, restart and rollback.
#include "lib/ops/deploy_plan.hpp"

namespace codops::ops {

// What happens to one service.
struct ServiceChange {
  const release::ServiceRecord* next{};
  const release::ServiceRecord* current{};   // null: new
  std::vector<release::Member> make;   // containers that don't exist yet
  std::vector<release::Member> start;  // exist, stopped: kept from before
  std::vector<release::Member> have;   // exist and run, of both releases
  std::vector<release::Member> leave;  // run now and are not of the next release
  std::vector<release::Member> rejoin; // run, and were taken off the traffic network: the proxy's only, others are made anew
  bool files_changed{false};

  bool changes() const { return !make.empty() || !start.empty() || !leave.empty() || !rejoin.empty() || files_changed; }
};

std::vector<ServiceChange> changes_between(const std::optional<release::Release>& current, const release::Release& next,
                                           const Observed& observed);

// Fills plan.steps, downtime, untouched, notes.
void plan_steps(plan::Plan& plan, const std::optional<release::Release>& current, const release::Release& next,
                const std::vector<ServiceChange>& changes, const std::vector<std::string>& intruders,
                const std::vector<NamedObject>& networks, const std::vector<NamedObject>& volumes, const ProxySettings& proxy,
                const Observed& observed, const PlanOptions& options);

}  // namespace codops::ops
