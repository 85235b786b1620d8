#pragma once
// What refers to an object by its name follows it to its new one; variables and replacements copy fields.
#include "lib/kube/kustomize/file.hpp"

namespace codops::kube::kustomize {

void fix_references(Resources& resources);

struct Variable {
  std::string name;
  Id object;           // as named in the file that has the variable
  std::string field;   // "metadata.name"
  text::Position at;
};
std::vector<Variable> variables_of(const File& file);
void replace_variables(const std::vector<Variable>& variables, Resources& resources);

void apply_replacements(const File& file, Resources& resources);

}  // namespace codops::kube::kustomize
