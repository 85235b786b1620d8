#include "lib/kube/order.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/kube/applyset.hpp"
#include "lib/kube/manifests.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

Object make(const std::string& version, const std::string& kind, const std::string& name, const std::string& space = {}) {
  Object object{nlohmann::json{{"apiVersion", version}, {"kind", kind}, {"metadata", {{"name", name}}}}};
  if (!space.empty()) object.set_namespace(space);
  return object;
}

std::string kinds(const std::vector<Object>& objects) {
  std::string text;
  for (const auto& object : objects) text += (text.empty() ? "" : " ") + object.kind();
  return text;
}

}  // namespace

TEST_CASE("the order of applying") {
  std::vector<Object> all;
  for (const auto& [version, kind] : std::vector<std::pair<const char*, const char*>>{
           {"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"}, {"networking.k8s.io/v1", "Ingress"}, {"example.com/v1", "Thing"}, {"batch/v1", "CronJob"}, {"apps/v1", "StatefulSet"},
           {"autoscaling/v2", "HorizontalPodAutoscaler"}, {"apps/v1", "Deployment"}, {"apps/v1", "DaemonSet"}, {"v1", "Service"}, {"rbac.authorization.k8s.io/v1", "RoleBinding"},
           {"rbac.authorization.k8s.io/v1", "Role"}, {"apiextensions.k8s.io/v1", "CustomResourceDefinition"}, {"v1", "PersistentVolumeClaim"}, {"v1", "ConfigMap"}, {"v1", "Secret"},
           {"v1", "ServiceAccount"}, {"policy/v1", "PodDisruptionBudget"}, {"v1", "ResourceQuota"}, {"networking.k8s.io/v1", "NetworkPolicy"}, {"v1", "Namespace"}, {"scheduling.k8s.io/v1", "PriorityClass"}})
    all.push_back(make(version, kind, "x"));
  sort_for_apply(all);
  CHECK(kinds(all) ==
        "PriorityClass Namespace NetworkPolicy ResourceQuota PodDisruptionBudget ServiceAccount Secret ConfigMap PersistentVolumeClaim CustomResourceDefinition Role RoleBinding Service DaemonSet Deployment "
        "HorizontalPodAutoscaler StatefulSet CronJob Thing Ingress ValidatingWebhookConfiguration");
  const auto waves = apply_waves(all);
  CHECK(kinds(waves.front()) == "PriorityClass Namespace");
  for (const auto& wave : waves) {
    if (wave.front().kind() == "CustomResourceDefinition") CHECK(wave.size() == 1);
  }
}

TEST_CASE("places: the default namespace, cluster-scoped kinds, kinds that a CRD brings") {
  auto all = read_manifests(R"(
{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: other}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: own, namespace: wrong}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec: {group: example.com, scope: Cluster, names: {kind: Thing}}
---
{apiVersion: example.com/v1, kind: Thing, metadata: {name: t, namespace: x}}
)",
                            "m.yaml")
                 .objects;
  const auto placement = place(all, ResourceTypes::built_in(), "shop");
  CHECK(all[0].namespace_() == "shop");
  CHECK(all[1].namespace_() == "other");
  CHECK(all[2].namespace_().empty());
  CHECK(all[4].namespace_().empty());
  CHECK(placement.namespaces == std::vector<std::string>{"other", "shop"});
  REQUIRE(placement.later.size() == 1);
  CHECK(placement.later.front().kind == "Thing");
}

TEST_CASE("kinds that the cluster does not serve") {
  const auto error = [](const char* text) {
    auto all = read_manifests(text, "m.yaml").objects;
    try {
      static_cast<void>(place(all, ResourceTypes::built_in(), "d"));
      return std::string{"no error"};
    } catch (const Failure& failure) {
      return failure.message() + " | " + failure.hint();
    }
  };
  CHECK(error("{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: a}}") == "m.yaml:1:34: the cluster does not know extensions/v1beta1 Ingress | it serves Ingress as apiVersion: networking.k8s.io/v1");
  CHECK(error("{apiVersion: apps/v1, kind: Deploymet, metadata: {name: a}}").find("did you mean \"Deployment\"?") != std::string::npos);
  CHECK(error("{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}}").find("CustomResourceDefinition") != std::string::npos);
  CHECK(error("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: d}}").find("is there already") != std::string::npos);
}

TEST_CASE("ApplySet: id, parent, members, prune") {
  const ApplySet set{"codops-shop", "default", "codops/0.1"};
  // sha256 of "codops-shop.default.Secret." in base64url, by openssl.
  CHECK(set.id() == "applyset-HiYAuW3RrYsvC73vQuJmycG0o2sxG-lo-wDf9eFnZ9k-v1");
  std::vector<Object> members{make("apps/v1", "Deployment", "web", "default"), make("v1", "ConfigMap", "c", "other"), make("v1", "Namespace", "other")};
  join(members, set);
  CHECK(members[0].label(applyset_part_of) == set.id());
  const auto parent = applyset_parent(set, members, {});
  CHECK(parent.annotation("applyset.kubernetes.io/contains-group-kinds") == "ConfigMap,Deployment.apps,Namespace");
  CHECK(parent.annotation("applyset.kubernetes.io/additional-namespaces") == "other");
  const auto next = applyset_parent(set, {members[0]}, parent);
  CHECK(next.annotation("applyset.kubernetes.io/contains-group-kinds") == "ConfigMap,Deployment.apps,Namespace");
  CHECK(applyset_parent(set, {members[0]}, {}).annotation("applyset.kubernetes.io/contains-group-kinds") == "Deployment.apps");
  // Namespaces are not listed, which takes a right of the whole cluster, but asked for by name.
  CHECK(member_lists(parent, ResourceTypes::built_in()).size() == 4);
  CHECK(member_namespaces(parent) == std::set<std::string>{"default", "other"});

  std::vector<Object> live{members[0], members[1], members[2], make("v1", "PersistentVolumeClaim", "data", "default"), make("v1", "Secret", "kept", "default"), make("apps/v1", "ReplicaSet", "web-1", "default"),
                           make("v1", "Service", "gone", "default")};
  join(live, set);
  live.push_back(make("v1", "ConfigMap", "a-strangers", "default"));
  live[4].set_annotation("codops.dev/prune", "false");
  live[5].edit()["metadata"]["ownerReferences"] = {{{"controller", true}, {"uid", "u"}}};
  const auto prune = prune_set(live, {members[0]}, set, {});
  CHECK(kinds(prune.gone) == "Service ConfigMap");
  REQUIRE(prune.kept.size() == 3);
  CHECK(prune_set(live, {members[0]}, set, {true, true, true}).kept.size() == 1);
}
