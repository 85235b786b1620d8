#pragma once
// What the user may do, asked of the server (SelfSubjectAccessReview) and told in one piece.
#include <compare>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "lib/engine/kubernetes/resource.hpp"
#include "lib/ops/kubernetes/cluster.hpp"

namespace codops::ops::kubernetes {

struct Right {
  std::string group, plural, subresource;
  std::string namespace_;  // empty: of the whole cluster
  std::string name;        // of one object; empty: of any
  std::string verb;
  auto operator<=>(const Right&) const = default;
};

// Answers that this command has had: nothing is asked twice.
struct KnownRights {
  std::mutex mutex;
  std::map<Right, bool> answers;
};

// Those of `wanted` that the user does not have, in their order.
std::vector<Right> missing_of(Cluster& cluster, const std::vector<Right>& wanted, const Limits& limits);
// Failure{failed} with all of `missing`, and which Role or ClusterRole grants them.
void refuse_missing(const std::vector<Right>& missing);

// What a deploy of `objects` needs beside what its plan says: the lock, the state, to look, to apply, to watch.
std::vector<Right> rights_of_deploy(Cluster& cluster, const std::vector<kube::Object>& objects, const Limits& limits);
// The right for an object of that kind: a Namespace is one of its own namespace's.
Right right_for(const k8s::Resource& resource, const kube::Object& object, const std::string& verb);

}  // namespace codops::ops::kubernetes
