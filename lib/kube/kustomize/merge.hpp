#pragma once
// Strategic merge patches, as kustomize applies them: new items of keyed lists come first.
#include "lib/kube/kustomize/resource.hpp"

namespace codops::kube::kustomize {

// False: the patch deletes the whole object ($patch: delete). Failure{config} for directives that kustomize does not know either.
bool strategic_merge(Json& object, const Json& patch);

}  // namespace codops::kube::kustomize
