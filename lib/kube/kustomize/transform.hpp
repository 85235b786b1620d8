#pragma once
// namespace, namePrefix, nameSuffix, labels, annotations, replicas, images: what changes every object by a rule.
#include "lib/kube/kustomize/file.hpp"

namespace codops::kube::kustomize {

void set_namespace(const File& file, Resources& resources);
void set_names(const File& file, Resources& resources);
void set_labels(const File& file, Resources& resources);
void set_annotations(const File& file, Resources& resources);
void set_replicas(const File& file, Resources& resources);
void set_images(const File& file, Resources& resources);

}  // namespace codops::kube::kustomize
