// The kinds that Kubernetes 1.36 serves by itself (kubectl api-resources).
#include <array>

#include "lib/kube/order.hpp"

namespace codops::kube {
namespace {

struct BuiltIn {
  const char *group, *version, *kind, *plural;
  bool namespaced;
};

constexpr std::array built_in_kinds{
    BuiltIn{"", "v1", "Binding", "bindings", true},
    BuiltIn{"", "v1", "ComponentStatus", "componentstatuses", false},
    BuiltIn{"", "v1", "ConfigMap", "configmaps", true},
    BuiltIn{"", "v1", "Endpoints", "endpoints", true},
    BuiltIn{"", "v1", "Event", "events", true},
    BuiltIn{"", "v1", "LimitRange", "limitranges", true},
    BuiltIn{"", "v1", "Namespace", "namespaces", false},
    BuiltIn{"", "v1", "Node", "nodes", false},
    BuiltIn{"", "v1", "PersistentVolume", "persistentvolumes", false},
    BuiltIn{"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true},
    BuiltIn{"", "v1", "Pod", "pods", true},
    BuiltIn{"", "v1", "PodTemplate", "podtemplates", true},
    BuiltIn{"", "v1", "ReplicationController", "replicationcontrollers", true},
    BuiltIn{"", "v1", "ResourceQuota", "resourcequotas", true},
    BuiltIn{"", "v1", "Secret", "secrets", true},
    BuiltIn{"", "v1", "Service", "services", true},
    BuiltIn{"", "v1", "ServiceAccount", "serviceaccounts", true},
    BuiltIn{"admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", false},
    BuiltIn{"admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", false},
    BuiltIn{"admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false},
    BuiltIn{"admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false},
    BuiltIn{"admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", false},
    BuiltIn{"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false},
    BuiltIn{"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false},
    BuiltIn{"apiregistration.k8s.io", "v1", "APIService", "apiservices", false},
    BuiltIn{"apps", "v1", "ControllerRevision", "controllerrevisions", true},
    BuiltIn{"apps", "v1", "DaemonSet", "daemonsets", true},
    BuiltIn{"apps", "v1", "Deployment", "deployments", true},
    BuiltIn{"apps", "v1", "ReplicaSet", "replicasets", true},
    BuiltIn{"apps", "v1", "StatefulSet", "statefulsets", true},
    BuiltIn{"authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", false},
    BuiltIn{"authentication.k8s.io", "v1", "TokenReview", "tokenreviews", false},
    BuiltIn{"authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", true},
    BuiltIn{"authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", false},
    BuiltIn{"authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", false},
    BuiltIn{"authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", false},
    BuiltIn{"autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true},
    BuiltIn{"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true},
    BuiltIn{"batch", "v1", "CronJob", "cronjobs", true},
    BuiltIn{"batch", "v1", "Job", "jobs", true},
    BuiltIn{"certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", false},
    BuiltIn{"coordination.k8s.io", "v1", "Lease", "leases", true},
    BuiltIn{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true},
    BuiltIn{"events.k8s.io", "v1", "Event", "events", true},
    BuiltIn{"flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", false},
    BuiltIn{"flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations", false},
    BuiltIn{"networking.k8s.io", "v1", "IPAddress", "ipaddresses", false},
    BuiltIn{"networking.k8s.io", "v1", "Ingress", "ingresses", true},
    BuiltIn{"networking.k8s.io", "v1", "IngressClass", "ingressclasses", false},
    BuiltIn{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true},
    BuiltIn{"networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", false},
    BuiltIn{"node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false},
    BuiltIn{"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true},
    BuiltIn{"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false},
    BuiltIn{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false},
    BuiltIn{"rbac.authorization.k8s.io", "v1", "Role", "roles", true},
    BuiltIn{"rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true},
    BuiltIn{"resource.k8s.io", "v1", "DeviceClass", "deviceclasses", false},
    BuiltIn{"resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", true},
    BuiltIn{"resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates", true},
    BuiltIn{"resource.k8s.io", "v1", "ResourceSlice", "resourceslices", false},
    BuiltIn{"scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false},
    BuiltIn{"storage.k8s.io", "v1", "CSIDriver", "csidrivers", false},
    BuiltIn{"storage.k8s.io", "v1", "CSINode", "csinodes", false},
    BuiltIn{"storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", true},
    BuiltIn{"storage.k8s.io", "v1", "StorageClass", "storageclasses", false},
    BuiltIn{"storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", false},
    BuiltIn{"storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", false},
};

}  // namespace

const ResourceTypes& ResourceTypes::built_in() {
  static const ResourceTypes types = [] {
    std::vector<ResourceType> list;
    for (const auto& row : built_in_kinds) list.push_back({row.group, row.version, row.kind, row.plural, row.namespaced, {"get", "list", "create", "patch", "delete"}});
    return ResourceTypes{std::move(list)};
  }();
  return types;
}

}  // namespace codops::kube
