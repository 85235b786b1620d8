#pragma once
// Who owns which fields (metadata.managedFields), and how codops takes over from kubectl and Helm.
#include <optional>
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

struct Owner {
  std::string manager;      // "kubectl-client-side-apply", "helm", "kube-controller-manager"
  bool apply{};             // server-side apply; else Update
  std::string subresource;  // "status", "scale" or ""
  std::string time;
  std::vector<std::string> fields;  // paths as in Conflict, sorted; only leaves and items
};
std::vector<Owner> owners_of(const Object& live);

struct Conflict {
  std::string field;    // as the API server writes it in a conflict's cause: .spec.template.spec.containers[name="web"].image
  std::string manager;  // who owns it now
  bool apply{};
  std::string ours, theirs;  // values; secrets "***"
};
// What server-side apply of `desired` as `manager` without force would refuse: fields that others own and whose value differs. A foretaste
// for the plan; the server's 409 has the last word.
std::vector<Conflict> conflicts_of(const Object& live, const Object& desired, const std::string& manager);

struct Adoption {
  std::string from;  // "kubectl", "Helm release \"shop\""
  std::vector<std::string> managers;   // whose entries are rewritten
  std::vector<std::string> drops;      // fields that they own and `desired` does not have: they disappear with the apply
  std::string patch;  // application/json-patch+json; guarded by resourceVersion; rewrites managedFields, removes last-applied-configuration
  std::string text;   // a line for the plan
};
// nullopt: nothing to take over (an object that codops or nobody made).
std::optional<Adoption> adoption_of(const Object& live, const Object& desired, const std::string& manager);

// What going back needs of an object that others have written as well: all but the server's own, with who owned what and kubectl's memory.
Object as_it_was(const Object& live);
// The same to be applied.
Object body_of(const Object& before);
// application/json-patch+json for `live`, which has the values of `before` again: each field is its former owner's. "" where nothing is known.
std::string ownership_patch(const Object& live, const Object& before);

}  // namespace codops::kube
