#include "lib/kube/kustomize/resource.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/kube/object.hpp"

namespace codops::kube::kustomize {

bool Id::same(const Id& other) const {
  return group == other.group && version == other.version && kind == other.kind && name == other.name && effective_namespace() == other.effective_namespace();
}

std::string Id::text() const { return fmt::format("{} {}{}{}", kind, namespace_, namespace_.empty() ? "" : "/", name); }

bool Gvk::fits(const Id& id) const {
  return (group.empty() || group == id.group) && (version.empty() || version == id.version) && (kind.empty() || kind == id.kind);
}

Id Resource::id() const {
  const auto text = [&](const char* pointer) {
    const Json::json_pointer at{pointer};
    return value.is_object() && value.contains(at) && value.at(at).is_string() ? value.at(at).get<std::string>() : std::string{};
  };
  const auto version = text("/apiVersion");
  const auto slash = version.find('/');
  return {slash == std::string::npos ? "" : version.substr(0, slash), slash == std::string::npos ? version : version.substr(slash + 1), text("/kind"), text("/metadata/namespace"),
          text("/metadata/name")};
}

bool Resource::was(const Id& wanted) const {
  return id().same(wanted) || std::any_of(previous.begin(), previous.end(), [&](const Id& former) { return former.same(wanted); });
}

bool is_cluster_scoped(const Id& id) {
  const auto* type = ResourceTypes::built_in().find(id.group, "", id.kind);
  return type && !type->namespaced;
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> steps{""};
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && i + 1 < path.size() && path[i + 1] == '/') {
      steps.back() += path[++i];
    } else if (path[i] == '/') {
      steps.emplace_back();
    } else {
      steps.back() += path[i];
    }
  }
  return steps;
}

}  // namespace codops::kube::kustomize
