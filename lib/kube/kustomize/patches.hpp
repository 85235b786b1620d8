#pragma once
// patches, patchesStrategicMerge, patchesJson6902.
#include "lib/kube/kustomize/file.hpp"

namespace codops::kube::kustomize {

// In kustomize's order the JSON patches of patchesJson6902 come after names and labels; the others first.
void apply_patches(const File& file, Resources& resources);
void apply_json_patches(const File& file, Resources& resources);

}  // namespace codops::kube::kustomize
