#pragma once
// spec.replicas that a manifest leaves open stays what it is: whoever applied a number before and leaves it out now would make the server
// start over from one.
#include <optional>
#include <string>

#include "lib/kube/object.hpp"

namespace codops::kube {

// Deployments, StatefulSets and ReplicaSets.
bool has_replicas(const Object& object);
std::optional<int> replicas_of(const Object& object);  // as written; nullopt: open, or it has none

// application/json-patch+json by which `manager` gives up the number in `live`, which then belongs to nobody and stays. "": `desired` says
// one, or the manager owns none. Guarded by resourceVersion.
std::string replicas_release(const Object& live, const Object& desired, const std::string& manager);

}  // namespace codops::kube
