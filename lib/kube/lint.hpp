#pragma once
// What is wrong with a manifest that can be seen without a cluster, with the line where it is.
#include <vector>

#include "lib/kube/object.hpp"
#include "lib/text/problems.hpp"

namespace codops::kube {

// apiVersion, kind and a name; no generateName; nothing that stands beside metadata or spec for want of indentation.
void check_shape(const Object& object, text::Problems& problems);
// Two items of a list with keys that have the same ones: server-side apply refuses what plain apply took (k8s#113482).
void check_duplicates(const Object& object, text::Problems& problems);
// Two objects of one name.
void check_unique(const std::vector<Object>& objects, text::Problems& problems);

}  // namespace codops::kube
