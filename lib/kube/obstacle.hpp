#pragma once
// Why the kubelet can't begin a pod or a container, by its words: events and waiting reasons carry no code beside them.
#include <string_view>

namespace codops::kube {

enum class Obstacle {
  missing,  // a Secret, a ConfigMap or a key of one is not there: somebody has to make it
  passing,  // the node or the API server is not ready for it: the kubelet tries again, by and by less often, within 122 s
  other,
};
Obstacle obstacle_of(std::string_view message);

}  // namespace codops::kube
