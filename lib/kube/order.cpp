#include "lib/kube/order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/kube/pod_view.hpp"
#include "lib/kube/schema.hpp"
#include "lib/text/problems.hpp"

namespace codops::kube {
namespace {

struct RankRow {
  std::string_view group, kind;
  int wave;  // what may go in parallel
};

// Its order is the order of applying.
constexpr std::array ranks{
    RankRow{"scheduling.k8s.io", "PriorityClass", 0},
    RankRow{"", "Namespace", 0},
    RankRow{"networking.k8s.io", "NetworkPolicy", 1},
    RankRow{"", "ResourceQuota", 1},
    RankRow{"", "LimitRange", 1},
    RankRow{"policy", "PodDisruptionBudget", 1},
    RankRow{"", "ServiceAccount", 1},
    RankRow{"", "Secret", 1},
    RankRow{"", "ConfigMap", 1},
    RankRow{"storage.k8s.io", "StorageClass", 1},
    RankRow{"", "PersistentVolume", 2},
    RankRow{"", "PersistentVolumeClaim", 2},
    RankRow{"apiextensions.k8s.io", "CustomResourceDefinition", 3},
    RankRow{"rbac.authorization.k8s.io", "ClusterRole", 4},
    RankRow{"rbac.authorization.k8s.io", "ClusterRoleBinding", 5},
    RankRow{"rbac.authorization.k8s.io", "Role", 4},
    RankRow{"rbac.authorization.k8s.io", "RoleBinding", 5},
    RankRow{"", "Service", 6},
    RankRow{"apps", "DaemonSet", 7},
    RankRow{"", "Pod", 7},
    RankRow{"", "ReplicationController", 7},
    RankRow{"apps", "ReplicaSet", 7},
    RankRow{"apps", "Deployment", 7},
    RankRow{"autoscaling", "HorizontalPodAutoscaler", 8},
    RankRow{"apps", "StatefulSet", 7},
    RankRow{"batch", "Job", 7},
    RankRow{"batch", "CronJob", 7},
    RankRow{"*", "*", 8},
    RankRow{"networking.k8s.io", "IngressClass", 9},
    RankRow{"networking.k8s.io", "Ingress", 10},
    RankRow{"apiregistration.k8s.io", "APIService", 11},
    RankRow{"admissionregistration.k8s.io", "MutatingWebhookConfiguration", 12},
    RankRow{"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", 12},
};

std::size_t row_of(const Object& object) {
  const auto group = object.group(), kind = object.kind();
  std::size_t other = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i].group == group && ranks[i].kind == kind) return i;
    if (ranks[i].group == "*") other = i;
  }
  return other;
}

struct Defined {  // by a CustomResourceDefinition of the set
  bool namespaced{};
};

std::map<std::pair<std::string, std::string>, Defined> definitions_of(const std::vector<Object>& objects) {
  std::map<std::pair<std::string, std::string>, Defined> found;
  for (const auto& object : objects) {
    const auto kind = defined_kind(object);
    if (kind) found[{kind->group, kind->kind}] = {text_in(object.json(), "/spec/scope") != "Cluster"};
  }
  return found;
}

void explain_unknown(const Object& object, const ResourceTypes& types, text::Problems& problems) {
  std::string hint;
  std::vector<std::string_view> kinds;
  for (const auto& type : types.all()) {
    kinds.push_back(type.kind);
    if (type.kind == object.kind() && hint.empty())
      hint = fmt::format("it serves {} as apiVersion: {}{}", type.kind, type.group.empty() ? "" : type.group + "/", type.version);
  }
  if (hint.empty()) {
    const auto near = nearest(object.kind(), kinds);
    hint = near.empty() || is_built_in(object.group()) == false ? "install its CustomResourceDefinition first, or add it to the manifests" : fmt::format("did you mean \"{}\"?", near);
  }
  problems.add(object.at("kind"), fmt::format("the cluster does not know {} {}", object.api_version(), object.kind()), hint);
}

}  // namespace

ResourceTypes::ResourceTypes(std::vector<ResourceType> types) : types_{std::move(types)} {
  std::stable_sort(types_.begin(), types_.end(),
                   [](const ResourceType& a, const ResourceType& b) { return std::tie(a.group, a.kind) < std::tie(b.group, b.kind); });
}

const ResourceType* ResourceTypes::find(std::string_view group, std::string_view version, std::string_view kind) const {
  auto at = std::lower_bound(types_.begin(), types_.end(), std::pair{group, kind}, [](const ResourceType& type, const std::pair<std::string_view, std::string_view>& key) {
    return std::pair<std::string_view, std::string_view>{type.group, type.kind} < key;
  });
  for (; at != types_.end() && at->group == group && at->kind == kind; ++at) {
    if (version.empty() || at->version == version) return &*at;
  }
  return nullptr;
}

Placement place(std::vector<Object>& objects, const ResourceTypes& types, const std::string& default_namespace) {
  Placement placement;
  text::Problems problems;
  const auto defined = definitions_of(objects);
  std::set<std::string> namespaces;
  for (auto& object : objects) {
    const auto* type = types.find(object);
    bool namespaced = type && type->namespaced;
    if (!type) {
      const auto found = defined.find({object.group(), object.kind()});
      if (found == defined.end()) {
        explain_unknown(object, types, problems);
        continue;
      }
      namespaced = found->second.namespaced;
    }
    if (!namespaced) {
      if (!object.namespace_().empty()) object.set_namespace("");
    } else {
      if (object.namespace_().empty()) object.set_namespace(default_namespace);
      namespaces.insert(object.namespace_());
    }
    if (!type) placement.later.push_back(object.ref());
  }
  std::map<Ref, const Object*> seen;
  for (const auto& object : objects) {
    const auto [first, fresh] = seen.emplace(object.ref(), &object);
    if (!fresh)
      problems.add(object.at(), fmt::format("{} in namespace {} is there already, in {}", object.ref().text(), object.namespace_(), first->second->at().text()), "remove one of them");
  }
  problems.throw_if_any();
  placement.namespaces.assign(namespaces.begin(), namespaces.end());
  return placement;
}

std::optional<Kind> defined_kind(const Object& object) {
  if (object.kind() != "CustomResourceDefinition" || object.group() != "apiextensions.k8s.io") return std::nullopt;
  return Kind{text_in(object.json(), "/spec/group"), text_in(object.json(), "/spec/names/kind")};
}

int apply_rank(const Object& object) { return static_cast<int>(row_of(object)); }

void sort_for_apply(std::vector<Object>& objects) {
  std::stable_sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) { return apply_rank(a) < apply_rank(b); });
}

void sort_for_delete(std::vector<Object>& objects) {
  sort_for_apply(objects);
  std::reverse(objects.begin(), objects.end());
}

std::vector<std::vector<Object>> apply_waves(std::vector<Object> objects) {
  std::stable_sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) {
    const auto left = row_of(a), right = row_of(b);
    return std::pair{ranks[left].wave, left} < std::pair{ranks[right].wave, right};
  });
  std::vector<std::vector<Object>> waves;
  int current = -1;
  for (auto& object : objects) {
    const int wave = ranks[row_of(object)].wave;
    if (wave != current) waves.emplace_back();
    current = wave;
    waves.back().push_back(std::move(object));
  }
  return waves;
}

}  // namespace codops::kube
