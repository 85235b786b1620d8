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

// What going back writes where the record leaves the number open: what ran `before`, as long as the number that this run has `written` still
// stands. nullopt: it stays as it is; an autoscaler or a hand may have raised it meanwhile.
std::optional<int> replicas_to_restore(std::optional<int> written, std::optional<int> now, int before);
// The object with its number left open.
Object with_open_replicas(Object object);

}  // namespace codops::kube
