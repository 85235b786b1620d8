#pragma once
// What there is in the cluster, of one environment.
#include <functional>
#include <map>
#include <vector>

#include "lib/kube/object.hpp"
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/release/release_store.hpp"

namespace codops::ops::kubernetes {

inline constexpr std::size_t worth_a_list = 10;  // objects of one kind, that else are asked for one by one

class Questions;

struct Observed {
  bool namespace_exists{true};
  release::Snapshot snapshot;
  std::vector<kube::Object> current_objects;  // as the release that serves has them on record
  std::map<kube::Ref, kube::Object> live;     // those that were asked for, and all members of the set
  std::vector<kube::Object> members;          // of the set, by label
  WallTime now{};

  const kube::Object* find(const kube::Ref& ref) const;
};

// Releases, history, journals, and the objects on record.
Observed observe_state(Cluster& cluster, const Limits& limits);
// The live objects: members of the set by one list a kind, others of `wanted` by name. `beside`: what else may be asked meanwhile.
void observe_objects(Cluster& cluster, Observed& observed, const std::vector<kube::Object>& wanted, const Limits& limits, const std::function<void(Questions&)>& beside = {});

bool is_namespace(const kube::Object& object);

}  // namespace codops::ops::kubernetes
