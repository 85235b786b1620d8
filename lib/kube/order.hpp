#pragma once
// Which objects are cluster-scoped, in which order they are applied, and which of a former release go.
#include <compare>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

// What discovery says of one kind.
struct ResourceType {
  std::string group, version, kind;
  std::string plural;  // "deployments"
  bool namespaced{};
  std::vector<std::string> verbs;
};

class ResourceTypes {
 public:
  ResourceTypes() = default;
  explicit ResourceTypes(std::vector<ResourceType> types);
  // nullptr: not served. An empty version: any (the first that discovery lists).
  const ResourceType* find(std::string_view group, std::string_view version, std::string_view kind) const;
  const ResourceType* find(const Object& object) const { return find(object.group(), object.version(), object.kind()); }
  const std::vector<ResourceType>& all() const noexcept { return types_; }
  // The built-in kinds of Kubernetes 1.36: for a plan without a cluster, and for tests.
  static const ResourceTypes& built_in();

 private:
  std::vector<ResourceType> types_;  // sorted by group, kind
};

struct Placement {
  std::vector<Ref> later;              // kinds that only exist once a CRD of this very set is established
  std::vector<std::string> namespaces; // every namespace that objects are in, sorted
};
// Gives namespaced objects without a namespace `default_namespace`, takes it from cluster-scoped ones. Failure{config}: a kind
// that the cluster does not serve and no CRD of the set defines (with the nearest known kind); two objects that become one.
Placement place(std::vector<Object>& objects, const ResourceTypes& types, const std::string& default_namespace);

// The kind that a CustomResourceDefinition defines; nullopt: it is another object.
struct Kind {
  std::string group, kind;
  auto operator<=>(const Kind&) const = default;
};
std::optional<Kind> defined_kind(const Object& object);

// facts/kubernetes.md, "Order"; stable within a kind; unknown kinds after the workloads, before Ingress.
int apply_rank(const Object& object);
void sort_for_apply(std::vector<Object>& objects);
// The reverse, for `down` and prune.
void sort_for_delete(std::vector<Object>& objects);

// Groups to apply one after the other: within one, objects don't depend on each other and may go in parallel. A CRD or Namespace ends a group.
std::vector<std::vector<Object>> apply_waves(std::vector<Object> objects);

}  // namespace codops::kube
