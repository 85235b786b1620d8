#pragma once
// An object on its way through a kustomization: what it was called before matters, because references are by those names.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/kube/order.hpp"
#include "lib/text/node.hpp"

namespace codops::kube::kustomize {

using Json = nlohmann::json;

struct Id {
  std::string group, version, kind, namespace_, name;

  std::string effective_namespace() const { return namespace_.empty() ? "default" : namespace_; }
  bool same(const Id& other) const;  // group, version, kind, name, effective namespace
  std::string text() const;
};

// What a field specification or a reference asks for; empty: any.
struct Gvk {
  std::string_view group, version, kind;
  bool fits(const Id& id) const;
};

struct Resource {
  Json value;
  std::shared_ptr<const text::Node> source;
  std::vector<Id> previous;  // oldest first
  std::vector<std::string> prefixes, suffixes;
  bool needs_hash{};
  bool deleted{};

  Id id() const;
  Id original() const { return previous.empty() ? id() : previous.front(); }
  // Now or ever.
  bool was(const Id& wanted) const;
  void remember() { previous.push_back(id()); }
  std::string name() const { return id().name; }
  std::string namespace_() const { return id().namespace_; }
  text::Position at() const { return source ? source->at : text::Position{}; }
};
using Resources = std::vector<Resource>;

bool is_cluster_scoped(const Id& id);

// "spec/template/spec/containers/env": lists on the way are gone through; "name[]" has to be a list; "\/" is a slash in a name.
std::vector<std::string> split_path(std::string_view path);

// Calls use(value) for every value at the path; what is missing is made if `create`.
template <typename Use>
void each_at(Json& value, const std::vector<std::string>& path, bool create, const Use& use, std::size_t step = 0) {
  if (value.is_array()) {
    for (auto& item : value) each_at(item, path, create, use, step);
    return;
  }
  if (step == path.size()) {
    use(value);
    return;
  }
  if (value.is_null() && create) value = Json::object();
  if (!value.is_object()) return;
  std::string name = path[step];
  const bool list = name.ends_with("[]");
  if (list) name.resize(name.size() - 2);
  const auto found = value.find(name);
  if (found == value.end()) {
    if (!create || list) return;
    value[name] = nullptr;
  } else if (list && !found->is_array()) {
    return;
  }
  // The last step's list is one value for those who set maps, and many for those who set texts: they see each item.
  auto& child = value[name];
  if (step + 1 == path.size() && !child.is_array()) {
    use(child);
  } else {
    each_at(child, path, create, use, step + 1);
  }
}

}  // namespace codops::kube::kustomize
