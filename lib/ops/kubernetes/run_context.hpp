#pragma once
// What the actions of one run share. Lives as long as the run.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/known_secrets.hpp"
#include "lib/kube/rollout.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/requests.hpp"
#include "lib/plan/runner.hpp"
#include "lib/release/release_store.hpp"

namespace codops::ops::kubernetes {

using ObjectsByKey = std::map<std::string, kube::Object>;
ObjectsByKey by_key(const std::vector<kube::Object>& objects);

struct RunContext {
  Cluster& cluster;
  std::string token;  // of this run
  release::Release next;
  std::optional<release::Release> current;
  ObjectsByKey next_objects, current_objects;
  ObjectsByKey migrations;  // Jobs that ran: what is secret in them is to be hidden as well
  ObjectsByKey before;   // live ones without a record, as they were
  bool force_conflicts{false};
  Milliseconds monitor{};
  Milliseconds stall{};  // no progress at all for so long is a failure

  // What the run learns on the way.
  std::optional<WallTime> applied_at;               // the server's time: events before it are another rollout's
  std::map<std::string, std::int64_t> generations;  // by key: what the last apply returned
  std::map<std::string, kube::Object> applied;      // by key: workloads as the last apply returned them
  std::set<std::string> settled;                    // by key: what the last apply returned was as it should be already
  std::set<kube::Kind> defined;                     // whose CustomResourceDefinition this run has applied
  bool traffic_moved{false};                        // a pod of the new release was ready
  std::vector<kube::Trouble> troubles;              // of the rollout that failed
  int front_door_asked{0}, front_door_answered{0};
  std::optional<KnownSecrets> secrets;              // release_secrets.hpp: of all objects above, read once
  std::size_t secrets_of_migrations{0};             // as many migrations were known then
};

// Beside objects: given by the composition.
struct Companions {
  std::function<std::string(const Limits&)> backup;
  std::function<std::string(RunContext& context, const Limits&)> migrate;
  std::function<std::string(std::size_t hook, const Limits&)> pre_hook;
};

class ActionSet {
 public:
  ActionSet(RunContext& context, Companions companions);
  ~ActionSet();
  const plan::Actions& table() const { return table_; }

 private:
  std::vector<std::unique_ptr<plan::Action>> owned_;
  plan::Actions table_;
};

std::unique_ptr<plan::Action> apply_action(RunContext& context);
std::unique_ptr<plan::Action> rollout_action(RunContext& context);
std::unique_ptr<plan::Action> scale_action(RunContext& context);
std::unique_ptr<plan::Action> settle_action(RunContext& context);
std::unique_ptr<plan::Action> prune_action(RunContext& context);

}  // namespace codops::ops::kubernetes
