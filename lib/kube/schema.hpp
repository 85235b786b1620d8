#pragma once
// What the built-in kinds of Kubernetes 1.36 say of their lists: which have keys (x-kubernetes-list-map-keys of
// /openapi/v2), so that items are told apart by key and not by position.
#include <string>
#include <string_view>
#include <vector>

namespace codops::kube {

using Path = std::vector<std::string>;  // field names from the object's root; list items add nothing

struct ListKeys {
  std::vector<std::string_view> keys;  // empty: a list without keys
  bool set{};                          // a list of scalars that is merged (finalizers)
  bool retain_keys{};                  // items are unions: a patch that has $retainKeys drops the others
};
ListKeys list_keys(std::string_view group, std::string_view kind, const Path& path);

// Where the pod template's spec (or the pod's own) is: {"spec", "template", "spec"}; empty: the kind has none.
Path pod_spec_path(std::string_view group, std::string_view kind);
bool is_built_in(std::string_view group);

}  // namespace codops::kube
