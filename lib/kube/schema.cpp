#include "lib/kube/schema.hpp"

#include <algorithm>
#include <array>

namespace codops::kube {
namespace {

struct Row {
  std::string_view kind;  // "" : below a pod's spec
  std::string_view path;  // slashes between names; "containers" stands for the three kinds of them
  std::array<std::string_view, 2> keys;
  bool set{}, retain_keys{};
};

constexpr std::array rows{
    Row{"", "containers", {"name"}},
    Row{"", "containers/env", {"name"}},
    Row{"", "containers/ports", {"containerPort", "protocol"}},
    Row{"", "containers/volumeDevices", {"devicePath"}},
    Row{"", "containers/volumeMounts", {"mountPath"}},
    Row{"", "hostAliases", {"ip"}},
    Row{"", "imagePullSecrets", {"name"}},
    Row{"", "resourceClaims", {"name"}, false, true},
    Row{"", "schedulingGates", {"name"}},
    Row{"", "topologySpreadConstraints", {"topologyKey", "whenUnsatisfiable"}},
    Row{"", "volumes", {"name"}, false, true},
    Row{"Service", "spec/ports", {"port", "protocol"}},
    Row{"ServiceAccount", "secrets", {"name"}},
    Row{"MutatingWebhookConfiguration", "webhooks", {"name"}},
    Row{"MutatingWebhookConfiguration", "webhooks/matchConditions", {"name"}},
    Row{"ValidatingWebhookConfiguration", "webhooks", {"name"}},
    Row{"ValidatingWebhookConfiguration", "webhooks/matchConditions", {"name"}},
    Row{"ValidatingAdmissionPolicy", "spec/matchConditions", {"name"}},
    Row{"ValidatingAdmissionPolicy", "spec/variables", {"name"}},
    Row{"MutatingAdmissionPolicy", "spec/matchConditions", {"name"}},
    Row{"*", "metadata/ownerReferences", {"uid"}},
    Row{"*", "metadata/finalizers", {}, true},
    Row{"*", "status/conditions", {"type"}},
};

std::string joined(Path::const_iterator begin, Path::const_iterator end, bool in_pod) {
  std::string text;
  for (auto at = begin; at != end; ++at) {
    if (at != begin) text += '/';
    const bool container = in_pod && at == begin && (*at == "initContainers" || *at == "ephemeralContainers");
    text += container ? "containers" : *at;
  }
  return text;
}

ListKeys keys_of(const Row& row) {
  ListKeys keys{{}, row.set, row.retain_keys};
  for (const auto key : row.keys) {
    if (!key.empty()) keys.keys.push_back(key);
  }
  return keys;
}

}  // namespace

bool is_built_in(std::string_view group) {
  return group.find('.') == std::string_view::npos || group.ends_with(".k8s.io");
}

Path pod_spec_path(std::string_view group, std::string_view kind) {
  if (group.empty() && kind == "Pod") return {"spec"};
  if (group.empty() && kind == "PodTemplate") return {"template", "spec"};
  if (group.empty() && kind == "ReplicationController") return {"spec", "template", "spec"};
  if (group == "apps" || group == "extensions") {
    if (kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet" || kind == "ReplicaSet") return {"spec", "template", "spec"};
  }
  if (group == "batch" && kind == "Job") return {"spec", "template", "spec"};
  if (group == "batch" && kind == "CronJob") return {"spec", "jobTemplate", "spec", "template", "spec"};
  return {};
}

ListKeys list_keys(std::string_view group, std::string_view kind, const Path& path) {
  if (path.empty()) return {};
  const auto pod = pod_spec_path(group, kind);
  const bool in_pod = !pod.empty() && path.size() > pod.size() && std::equal(pod.begin(), pod.end(), path.begin());
  const auto whole = joined(path.begin(), path.end(), false);
  const auto below = in_pod ? joined(path.begin() + static_cast<std::ptrdiff_t>(pod.size()), path.end(), true) : std::string{};
  for (const auto& row : rows) {
    if (row.kind.empty() ? (in_pod && row.path == below) : ((row.kind == "*" || (row.kind == kind && is_built_in(group))) && row.path == whole)) return keys_of(row);
  }
  return {};
}

}  // namespace codops::kube
