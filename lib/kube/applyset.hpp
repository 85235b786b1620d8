#pragma once
// Prune by the rules of ApplySet (KEP-3659), so that `kubectl apply --prune --applyset` understands what codops wrote.
#include <set>
#include <string>
#include <vector>

#include "lib/kube/object.hpp"
#include "lib/kube/order.hpp"

namespace codops::kube {

struct ApplySet {
  std::string name, namespace_;  // of the parent Secret
  std::string tooling;           // "codops/0.1"

  std::string id() const;  // "applyset-…-v1"
};

inline constexpr const char* applyset_part_of = "applyset.kubernetes.io/part-of";
inline constexpr const char* applyset_id = "applyset.kubernetes.io/id";  // label of a parent

// The id of another set that the object is a member of; "" when it is of this one or of none.
std::string other_set(const Object& live, const ApplySet& set);

// The parent Secret: the kinds and namespaces of `members`, and those of `former` (the parent as it is now; null at first):
// the superset that has to be written before anything is applied. With an empty `former` it is the final set, for after the prune.
Object applyset_parent(const ApplySet& set, const std::vector<Object>& members, const Object& former);
void join(std::vector<Object>& members, const ApplySet& set);

// Where to list for members: one list call each, with the label selector part-of=ID.
struct MemberList {
  const ResourceType* type{};
  std::string namespace_;  // empty for cluster-scoped kinds
};
// Whether `types` has every kind that the parent names.
bool knows_members(const Object& parent, const ResourceTypes& types);
std::vector<MemberList> member_lists(const Object& parent, const ResourceTypes& types);
// Namespaces that may be members themselves: each is asked for by name.
std::set<std::string> member_namespaces(const Object& parent);

struct PruneOptions {
  bool namespaces{}, volume_claims{}, definitions{};  // may go too
};
struct Prune {
  struct Kept {
    Object object;
    std::string why;  // "a PersistentVolumeClaim keeps data: --prune-volumes removes it"
  };
  std::vector<Object> gone;  // in the order of deletion; delete with their uid as the precondition
  std::vector<Kept> kept;
};
// `live`: objects found with the set's label. Gone is what `desired` does not name; owned objects (ownerReferences with
// controller) are their owner's business; `codops.dev/prune: "false"` as an annotation keeps one.
Prune prune_set(const std::vector<Object>& live, const std::vector<Object>& desired, const ApplySet& set, const PruneOptions& options);

}  // namespace codops::kube
