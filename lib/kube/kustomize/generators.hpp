#pragma once
// configMapGenerator and secretGenerator.
#include "lib/kube/kustomize/file.hpp"

namespace codops::kube::kustomize {

// Adds, merges or replaces among `into`.
void generate(const File& file, Resources& into);

// The suffix of a generated object's name: facts/kubernetes.md, "Kustomize".
std::string content_hash(const Json& object);

}  // namespace codops::kube::kustomize
