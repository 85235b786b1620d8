#pragma once
// $(NAME) in the environment, command and arguments of a container, as the kubelet puts values in
// (k8s.io/kubernetes third_party/forked/golang/expansion).
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace codops::kube {

// "$$" is "$"; what `look` does not know stays as it is written.
std::string expand_references(std::string_view value, const std::function<std::optional<std::string>(const std::string& name)>& look);

}  // namespace codops::kube
