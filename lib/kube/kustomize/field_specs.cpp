#include "lib/kube/kustomize/field_specs.hpp"

namespace codops::kube::kustomize {
namespace {

struct PodKind {
  const char *group, *kind, *spec;  // where its pod's spec is
};
constexpr PodKind pod_kinds[] = {
    {"", "Pod", "spec"},
    {"", "PodTemplate", "template/spec"},
    {"", "ReplicationController", "spec/template/spec"},
    {"", "Deployment", "spec/template/spec"},
    {"", "ReplicaSet", "spec/template/spec"},
    {"", "DaemonSet", "spec/template/spec"},
    {"", "StatefulSet", "spec/template/spec"},
    {"", "Job", "spec/template/spec"},
    {"", "CronJob", "spec/jobTemplate/spec/template/spec"},
};

void add_in_pods(std::vector<FieldSpec>& fields, std::initializer_list<const char*> paths) {
  for (const auto& pod : pod_kinds) {
    for (const auto* path : paths) fields.push_back({pod.group, "", pod.kind, std::string{pod.spec} + "/" + path, false});
  }
}

std::vector<FieldSpec> template_fields(const std::string& what) {
  std::vector<FieldSpec> fields{{"", "", "", "metadata/" + what, true}};
  for (const auto* kind : {"ReplicationController", "Deployment", "ReplicaSet", "DaemonSet"}) fields.push_back({"", "", kind, "spec/template/metadata/" + what, true});
  fields.push_back({"apps", "", "StatefulSet", "spec/template/metadata/" + what, true});
  fields.push_back({"batch", "", "Job", "spec/template/metadata/" + what, true});
  fields.push_back({"batch", "", "CronJob", "spec/jobTemplate/metadata/" + what, true});
  fields.push_back({"batch", "", "CronJob", "spec/jobTemplate/spec/template/metadata/" + what, true});
  return fields;
}

}  // namespace

const std::vector<FieldSpec>& metadata_label_fields() {
  static const auto fields = [] {
    auto made = template_fields("labels");
    made.push_back({"apps", "", "StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels", true});
    return made;
  }();
  return fields;
}

const std::vector<FieldSpec>& annotation_fields() {
  static const auto fields = template_fields("annotations");
  return fields;
}

const std::vector<FieldSpec>& selector_fields() {
  static const auto fields = [] {
    auto made = metadata_label_fields();
    made.push_back({"", "v1", "Service", "spec/selector", true});
    made.push_back({"", "v1", "ReplicationController", "spec/selector", true});
    for (const auto* kind : {"Deployment", "ReplicaSet", "DaemonSet"}) made.push_back({"", "", kind, "spec/selector/matchLabels", true});
    made.push_back({"apps", "", "StatefulSet", "spec/selector/matchLabels", true});
    for (const auto* kind : {"Deployment", "StatefulSet"}) {
      for (const auto* affinity : {"podAffinity", "podAntiAffinity"}) {
        const auto base = std::string{"spec/template/spec/affinity/"} + affinity;
        made.push_back({"apps", "", kind, base + "/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels", false});
        made.push_back({"apps", "", kind, base + "/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels", false});
      }
      made.push_back({"apps", "", kind, "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels", false});
    }
    made.push_back({"batch", "", "Job", "spec/selector/matchLabels", false});
    made.push_back({"batch", "", "CronJob", "spec/jobTemplate/spec/selector/matchLabels", false});
    made.push_back({"policy", "", "PodDisruptionBudget", "spec/selector/matchLabels", false});
    made.push_back({"networking.k8s.io", "", "NetworkPolicy", "spec/podSelector/matchLabels", false});
    made.push_back({"networking.k8s.io", "", "NetworkPolicy", "spec/ingress/from/podSelector/matchLabels", false});
    made.push_back({"networking.k8s.io", "", "NetworkPolicy", "spec/egress/to/podSelector/matchLabels", false});
    return made;
  }();
  return fields;
}

const std::vector<FieldSpec>& replica_fields() {
  static const std::vector<FieldSpec> fields{
      {"", "", "Deployment", "spec/replicas", true}, {"", "", "ReplicationController", "spec/replicas", true}, {"", "", "ReplicaSet", "spec/replicas", true}, {"", "", "StatefulSet", "spec/replicas", true}};
  return fields;
}

const std::vector<FieldSpec>& variable_fields() {
  static const auto fields = [] {
    std::vector<FieldSpec> made;
    for (const std::string list : {"containers", "initContainers"}) {
      for (const auto* field : {"/args", "/command", "/env/value", "/volumeMounts/mountPath"}) add_in_pods(made, {(list + field).c_str()});
      for (const auto* probe : {"/livenessProbe", "/readinessProbe", "/lifecycle/postStart", "/lifecycle/preStop"}) {
        for (const auto* field : {"/exec/command", "/httpGet/host", "/httpGet/path", "/httpGet/port"}) add_in_pods(made, {(list + probe + field).c_str()});
      }
    }
    for (const auto* path : {"spec/rules/host", "spec/tls/hosts", "spec/tls/secretName"}) made.push_back({"", "", "Ingress", path, false});
    for (const auto* path : {"spec/ports/port", "spec/ports/targetPort", "spec/type"}) made.push_back({"", "", "Service", path, false});
    for (const auto* path : {"metadata/labels", "metadata/annotations"}) made.push_back({"", "", "", path, false});
    made.push_back({"", "", "StatefulSet", "spec/serviceName", false});
    return made;
  }();
  return fields;
}

const std::vector<NameReference>& name_references() {
  static const auto references = [] {
    std::vector<NameReference> made;
    for (const auto* kind : {"Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"}) made.push_back({"", kind, {{"", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name", false}}});

    NameReference config{"", "ConfigMap", {}};
    add_in_pods(config.fields, {"volumes/configMap/name", "containers/env/valueFrom/configMapKeyRef/name", "initContainers/env/valueFrom/configMapKeyRef/name",
                                "containers/envFrom/configMapRef/name", "initContainers/envFrom/configMapRef/name", "volumes/projected/sources/configMap/name"});
    config.fields.push_back({"", "", "Role", "rules/resourceNames", false});
    config.fields.push_back({"", "", "ClusterRole", "rules/resourceNames", false});
    config.fields.push_back({"", "", "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap", false});
    made.push_back(std::move(config));

    NameReference secret{"", "Secret", {}};
    add_in_pods(secret.fields, {"volumes/secret/secretName", "containers/env/valueFrom/secretKeyRef/name", "initContainers/env/valueFrom/secretKeyRef/name",
                                "containers/envFrom/secretRef/name", "initContainers/envFrom/secretRef/name", "imagePullSecrets/name", "volumes/projected/sources/secret/name"});
    secret.fields.push_back({"", "", "Ingress", "spec/tls/secretName", false});
    for (const auto* name : {"ingress.kubernetes.io\\/auth-secret", "nginx.ingress.kubernetes.io\\/auth-secret", "nginx.ingress.kubernetes.io\\/auth-tls-secret"})
      secret.fields.push_back({"", "", "Ingress", std::string{"metadata/annotations/"} + name, false});
    secret.fields.push_back({"", "", "ServiceAccount", "imagePullSecrets/name", false});
    for (const auto* name : {"secretName", "adminSecretName", "userSecretName", "secretRef"}) secret.fields.push_back({"", "", "StorageClass", std::string{"parameters/"} + name, false});
    secret.fields.push_back({"", "", "Role", "rules/resourceNames", false});
    secret.fields.push_back({"", "", "ClusterRole", "rules/resourceNames", false});
    secret.fields.push_back({"", "", "PersistentVolume", "spec/azureFile/secretName", false});
    made.push_back(std::move(secret));

    made.push_back({"", "Service",
                    {{"apps", "", "StatefulSet", "spec/serviceName", false},
                     {"", "", "Ingress", "spec/rules/http/paths/backend/serviceName", false},
                     {"", "", "Ingress", "spec/backend/serviceName", false},
                     {"", "", "Ingress", "spec/rules/http/paths/backend/service/name", false},
                     {"", "", "Ingress", "spec/defaultBackend/service/name", false},
                     {"apiregistration.k8s.io", "", "APIService", "spec/service/name", false},
                     {"admissionregistration.k8s.io", "", "ValidatingWebhookConfiguration", "webhooks/clientConfig/service", false},
                     {"admissionregistration.k8s.io", "", "MutatingWebhookConfiguration", "webhooks/clientConfig/service", false}}});
    made.push_back({"rbac.authorization.k8s.io", "Role", {{"rbac.authorization.k8s.io", "", "RoleBinding", "roleRef/name", false}}});
    made.push_back({"rbac.authorization.k8s.io", "ClusterRole",
                    {{"rbac.authorization.k8s.io", "", "RoleBinding", "roleRef/name", false}, {"rbac.authorization.k8s.io", "", "ClusterRoleBinding", "roleRef/name", false}}});

    NameReference account{"", "ServiceAccount", {{"rbac.authorization.k8s.io", "", "RoleBinding", "subjects", false}, {"rbac.authorization.k8s.io", "", "ClusterRoleBinding", "subjects", false}}};
    add_in_pods(account.fields, {"serviceAccountName"});
    made.push_back(std::move(account));
    NameReference claim{"", "PersistentVolumeClaim", {}};
    add_in_pods(claim.fields, {"volumes/persistentVolumeClaim/claimName"});
    made.push_back(std::move(claim));
    made.push_back({"", "PersistentVolume", {{"", "", "PersistentVolumeClaim", "spec/volumeName", false}, {"", "", "ClusterRole", "rules/resourceNames", false}}});
    made.push_back({"storage.k8s.io", "StorageClass",
                    {{"", "", "PersistentVolume", "spec/storageClassName", false},
                     {"", "", "PersistentVolumeClaim", "spec/storageClassName", false},
                     {"", "", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName", false}}});
    NameReference priority{"scheduling.k8s.io", "PriorityClass", {}};
    add_in_pods(priority.fields, {"priorityClassName"});
    made.push_back(std::move(priority));
    made.push_back({"networking.k8s.io", "IngressClass", {{"", "", "Ingress", "spec/ingressClassName", false}}});
    return made;
  }();
  return references;
}

}  // namespace codops::kube::kustomize
