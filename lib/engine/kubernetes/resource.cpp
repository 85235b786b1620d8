#include "lib/engine/kubernetes/resource.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"
#include "lib/io/http.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

struct WellKnown {
  std::string_view group, version, kind, plural;
  bool namespaced;
};

// Stable since Kubernetes 1.25 or longer.
constexpr std::array well_known{
    WellKnown{"", "v1", "ConfigMap", "configmaps", true},
    WellKnown{"", "v1", "Endpoints", "endpoints", true},
    WellKnown{"", "v1", "Event", "events", true},
    WellKnown{"", "v1", "LimitRange", "limitranges", true},
    WellKnown{"", "v1", "Namespace", "namespaces", false},
    WellKnown{"", "v1", "Node", "nodes", false},
    WellKnown{"", "v1", "PersistentVolume", "persistentvolumes", false},
    WellKnown{"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true},
    WellKnown{"", "v1", "Pod", "pods", true},
    WellKnown{"", "v1", "ReplicationController", "replicationcontrollers", true},
    WellKnown{"", "v1", "ResourceQuota", "resourcequotas", true},
    WellKnown{"", "v1", "Secret", "secrets", true},
    WellKnown{"", "v1", "Service", "services", true},
    WellKnown{"", "v1", "ServiceAccount", "serviceaccounts", true},
    WellKnown{"admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false},
    WellKnown{"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false},
    WellKnown{"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false},
    WellKnown{"apiregistration.k8s.io", "v1", "APIService", "apiservices", false},
    WellKnown{"apps", "v1", "ControllerRevision", "controllerrevisions", true},
    WellKnown{"apps", "v1", "DaemonSet", "daemonsets", true},
    WellKnown{"apps", "v1", "Deployment", "deployments", true},
    WellKnown{"apps", "v1", "ReplicaSet", "replicasets", true},
    WellKnown{"apps", "v1", "StatefulSet", "statefulsets", true},
    WellKnown{"autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true},
    WellKnown{"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true},
    WellKnown{"batch", "v1", "CronJob", "cronjobs", true},
    WellKnown{"batch", "v1", "Job", "jobs", true},
    WellKnown{"coordination.k8s.io", "v1", "Lease", "leases", true},
    WellKnown{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true},
    WellKnown{"networking.k8s.io", "v1", "Ingress", "ingresses", true},
    WellKnown{"networking.k8s.io", "v1", "IngressClass", "ingressclasses", false},
    WellKnown{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true},
    WellKnown{"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true},
    WellKnown{"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false},
    WellKnown{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false},
    WellKnown{"rbac.authorization.k8s.io", "v1", "Role", "roles", true},
    WellKnown{"rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true},
    WellKnown{"scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false},
    WellKnown{"storage.k8s.io", "v1", "StorageClass", "storageclasses", false},
};

std::pair<std::string_view, std::string_view> group_and_version(std::string_view api_version) {
  const auto slash = api_version.find('/');
  if (slash == std::string_view::npos) return {std::string_view{}, api_version};
  return {api_version.substr(0, slash), api_version.substr(slash + 1)};
}

void add_aggregated(const json& group, std::vector<Resource>& resources, std::vector<std::string>& stale) {
  const auto group_name = text_at(group, {"metadata", "name"});
  bool first = true;
  for (const auto& version : field(group, {"versions"})) {
    if (text_at(version, {"freshness"}) == "Stale") {
      stale.push_back(group_name + "/" + text_at(version, {"version"}));
      continue;
    }
    for (const auto& found : field(version, {"resources"})) {
      Resource resource;
      resource.kind = text_at(found, {"responseKind", "kind"});
      resource.group = group_name;
      resource.version = text_at(version, {"version"});
      resource.plural = text_at(found, {"resource"});
      resource.namespaced = text_at(found, {"scope"}) == "Namespaced";
      resource.preferred = first;
      resource.verbs = texts_at(found, {"verbs"});
      resources.push_back(std::move(resource));
    }
    first = false;
  }
}

}  // namespace

std::string ObjectRef::text() const { return namespace_.empty() ? fmt::format("{} {}", kind, name) : fmt::format("{} {}/{}", kind, namespace_, name); }

ObjectRef ref_of(const json& object) {
  return {text_at(object, {"apiVersion"}), text_at(object, {"kind"}), text_at(object, {"metadata", "namespace"}), text_at(object, {"metadata", "name"})};
}

std::string Resource::api_version() const { return group.empty() ? version : group + "/" + version; }

std::string Resource::path(std::string_view namespace_, std::string_view name, std::string_view subresource) const {
  std::string path = group.empty() ? fmt::format("/api/{}", version) : fmt::format("/apis/{}/{}", group, version);
  if (namespaced && !namespace_.empty()) path += fmt::format("/namespaces/{}", io::percent_encode(namespace_));
  path += "/" + plural;
  if (!name.empty()) path += "/" + io::percent_encode(name);
  if (!subresource.empty()) path += fmt::format("/{}", subresource);
  return path;
}

std::optional<Resource> well_known_resource(std::string_view api_version, std::string_view kind) {
  const auto [group, version] = group_and_version(api_version);
  for (const auto& known : well_known) {
    if (known.group != group || known.version != version || known.kind != kind) continue;
    Resource resource;
    resource.group = known.group;
    resource.version = known.version;
    resource.kind = known.kind;
    resource.plural = known.plural;
    resource.namespaced = known.namespaced;
    return resource;
  }
  return std::nullopt;
}

std::vector<Resource> resources_in(const json& discovery, std::vector<std::string>& stale) {
  std::vector<Resource> resources;
  if (text_at(discovery, {"kind"}) == "APIGroupDiscoveryList") {
    for (const auto& group : field(discovery, {"items"})) add_aggregated(group, resources, stale);
    return resources;
  }
  const auto api_version = text_at(discovery, {"groupVersion"});
  const auto [group, version] = group_and_version(api_version);
  for (const auto& found : field(discovery, {"resources"})) {
    const auto name = text_at(found, {"name"});
    if (name.find('/') != std::string::npos) continue;  // a subresource
    Resource resource;
    resource.group = group;
    resource.version = version;
    resource.kind = text_at(found, {"kind"});
    resource.plural = name;
    resource.namespaced = flag_at(found, {"namespaced"});
    resource.verbs = texts_at(found, {"verbs"});
    resources.push_back(std::move(resource));
  }
  return resources;
}

}  // namespace codops::engine::kubernetes
