#pragma once
#include "lib/kube/object.hpp"

namespace codops::kube {

// What the rules of this layer read of a pod, a fraction of what the server sends. Thousands are held while a rollout is watched.
Object essence_of(const Object& pod);

}  // namespace codops::kube
