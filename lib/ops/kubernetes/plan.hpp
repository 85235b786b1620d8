#pragma once
// Decides, purely: what is wanted, what there is, and what the API server would make of it in; a plan out.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/kube/applyset.hpp"
#include "lib/kube/diff.hpp"
#include "lib/kube/ownership.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/observed.hpp"
#include "lib/plan/plan.hpp"

namespace codops::ops::kubernetes {

struct PlanOptions {
  std::string verb{"deploy"};
  bool force{false};                 // pods anew even where nothing changed
  Milliseconds monitor{};
  std::string backup;                // what is backed up; empty: nothing
  std::string migrate;               // what runs; empty: nothing
  std::vector<kube::Object> migrations;  // the Jobs of it: what they need is applied before them
  std::vector<std::string> pre_hooks;
  bool front_door{false};            // one is configured
  std::string token;
};

// What the server made of the dry run of one object.
struct Trial {
  kube::Object result;  // null: it could not be tried (its namespace or CRD comes with this release)
  std::vector<std::string> warnings;
  std::string note;     // what the plan says of it
};

struct Planned {
  plan::Plan plan;
  release::Release next;
  std::vector<kube::Object> objects;      // of next
  std::vector<kube::Object> before;       // live ones that no release has on record and that change: what undoing restores
  std::vector<kube::ObjectDiff> diffs;    // of objects, in their order; then what is removed
  std::vector<kube::ObjectDiff> pruned;
  std::vector<kube::Prune::Kept> kept;
};

// `trials`: by the objects' order.
Planned plan_release(const release::Release& next, const std::vector<kube::Object>& objects, const std::vector<Trial>& trials, const Observed& observed,
                     const kube::ApplySet& set, const PlanOptions& options);

// Why old and new pods of it can't serve side by side, for people; empty: they can.
std::string why_not_beside(const kube::Object& workload);

// The plan as --dry-run prints it. `shown`: the cluster.
std::string plan_text(const Planned& planned, const std::string& shown, const release::Release* current, const std::vector<kube::ContainerImage>& images);

}  // namespace codops::ops::kubernetes
