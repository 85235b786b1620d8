#pragma once
// Putting objects into the cluster, wave by wave, and taking them away.
#include <string>
#include <vector>

#include "lib/engine/kubernetes/api_error.hpp"
#include "lib/engine/kubernetes/resource.hpp"
#include "lib/kube/object.hpp"
#include "lib/ops/kubernetes/run_context.hpp"

namespace codops::ops::kubernetes {

enum class Conflicts {
  refuse,    // fields of others stay theirs: Failure names each
  take_over  // ours from now on
};

// Objects in the order of applying. Waits after each wave for CRDs and namespaces. Remembers generations. Every object of a wave is
// tried before the first refusal is thrown.
void apply_objects(RunContext& context, std::vector<kube::Object> objects, Conflicts conflicts, const Limits& limits);

// Objects that are being deleted: until the last one is gone, up to a minute, then Failure{failed} with what holds it.
void await_gone(Cluster& cluster, const std::vector<kube::Object>& objects, const Limits& limits);

// Field by field, whose it is, and how to go on.
Failure conflict_failure(const kube::Object& object, const std::exception_ptr& error);

// Refused because it can't change once it exists.
bool says_immutable(const k8s::ApiError& error);

// What to do about a refusal; else the error's own hint.
std::string way_out(const kube::Object& object, const k8s::ApiError& error);

// What key_of() made, as the client names it.
k8s::ObjectRef ref_of_key(const std::string& key, const std::string& api_version);

// Exactly that object; absent is fine. `uid` empty: whatever has the name now, if it carries the set's label.
void remove_object(RunContext& context, const std::string& key, const std::string& api_version, const std::string& uid, const Limits& limits);

// Ends the monitor windows of those objects of the new release; without one there is nothing to do.
void close_windows(RunContext& context, const std::vector<std::string>& keys, const Limits& limits);

// The parent of the set names every kind that may have a member: written before anything is applied.
void widen_set(RunContext& context, const Limits& limits);
void narrow_set(RunContext& context, const Limits& limits);

}  // namespace codops::ops::kubernetes
