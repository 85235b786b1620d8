#pragma once
// Where labels, annotations, namespaces and names of other objects stand, in the built-in kinds: the tables that kustomize has.
#include <functional>
#include <string>
#include <vector>

#include "lib/kube/kustomize/resource.hpp"

namespace codops::kube::kustomize {

struct FieldSpec {
  std::string group, version, kind;
  std::string path;
  bool create{};

  Gvk gvk() const { return {group, version, kind}; }
};

const std::vector<FieldSpec>& metadata_label_fields();  // with those of pod templates
const std::vector<FieldSpec>& selector_fields();        // what commonLabels also touches
const std::vector<FieldSpec>& annotation_fields();
const std::vector<FieldSpec>& replica_fields();
const std::vector<FieldSpec>& variable_fields();        // where $(VAR) is replaced

struct NameReference {
  std::string group, kind;  // of what is referred to
  std::vector<FieldSpec> fields;
};
const std::vector<NameReference>& name_references();

}  // namespace codops::kube::kustomize
