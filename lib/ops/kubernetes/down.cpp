#include "lib/ops/kubernetes/down.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/ops/kubernetes/apply.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/job.hpp"
#include "lib/ops/kubernetes/transaction.hpp"

namespace codops::ops::kubernetes {
namespace {

// Those that a StatefulSet's volumeClaimTemplates made carry no label of the set: "TEMPLATE-NAME-0".
std::vector<kube::Object> claims_of_templates(Cluster& cluster, const std::vector<kube::Object>& members, const Limits& limits) {
  std::vector<kube::Object> found;
  for (const auto& member : members) {
    if (member.kind() != "StatefulSet" || !member.json().at("spec").contains("volumeClaimTemplates")) continue;
    for (const auto& claim : member.json().at("spec").at("volumeClaimTemplates")) {
      const auto prefix = fmt::format("{}-{}-", claim.at("metadata").value("name", ""), member.name());
      cluster.api().list("v1", "PersistentVolumeClaim", member.namespace_(), {}, [&](nlohmann::json&& json) {
        kube::Object object{std::move(json)};
        if (object.name().starts_with(prefix) && object.name().find_first_not_of("0123456789", prefix.size()) == std::string::npos) found.push_back(std::move(object));
      }, limits);
    }
  }
  return found;
}

// The namespace that was asked for by name, though no release made it. Null: it is among the members, or gone.
kube::Object unlisted_namespace(Cluster& cluster, const std::vector<kube::Object>& members, const Limits& limits) {
  const auto& name = cluster.namespace_();
  if (std::any_of(members.begin(), members.end(), [&](const auto& member) { return is_namespace(member) && member.name() == name; })) return {};
  if (name == "default" || name.starts_with("kube-")) {
    throw Failure{Exit::usage, fmt::format("the namespace \"{}\" is Kubernetes' own: it can't be removed", name), "nothing was changed; leave out --namespace"};
  }
  auto found = cluster.api().find({"v1", "Namespace", {}, name}, limits);
  return found ? kube::Object{std::move(*found)} : kube::Object{};
}

// What others have in a namespace would go with it.
void refuse_shared(Cluster& cluster, const std::vector<kube::Object>& gone, const Limits& limits) {
  const auto own = cluster.set().id();
  for (const auto& object : gone) {
    if (!is_namespace(object)) continue;
    for (const auto& json : cluster.api().list("v1", "Secret", object.name(), {kube::applyset_id, {}}, limits)) {
      const kube::Object parent{json};
      if (parent.label(kube::applyset_id) == own) continue;
      throw Failure{Exit::failed, fmt::format("the namespace \"{}\" has objects of another project too: {}", object.name(), parent.name()),
                    "nothing was changed; leave out --namespace, or take that project down first"};
    }
  }
}

struct Leaving {
  std::vector<kube::Object> gone, kept;
};

Leaving leaving(Cluster& cluster, const DownRequest& request, const Limits& limits) {
  auto observed = observe_state(cluster, limits);
  cluster.require_owner(observed.snapshot);
  observe_objects(cluster, observed, observed.current_objects, limits);
  Leaving leaving;
  auto all = observed.members;
  for (auto& claim : claims_of_templates(cluster, observed.members, limits)) all.push_back(std::move(claim));
  std::set<std::string> namespaces{cluster.namespace_()};
  for (const auto& member : observed.members) {
    if (!member.namespace_().empty()) namespaces.insert(member.namespace_());
  }
  for (auto& job : jobs_beside(cluster, namespaces, limits)) all.push_back(std::move(job));
  if (request.namespace_) {
    if (auto space = unlisted_namespace(cluster, observed.members, limits); !space.empty()) all.push_back(std::move(space));
  }
  kube::sort_for_delete(all);
  for (auto& object : all) {
    const bool stays = (object.kind() == "PersistentVolumeClaim" && !request.volumes) || (is_namespace(object) && !request.namespace_) ||
                       object.kind() == "CustomResourceDefinition";
    (stays ? leaving.kept : leaving.gone).push_back(std::move(object));
  }
  refuse_shared(cluster, leaving.gone, limits);
  return leaving;
}

}  // namespace

DownPlan plan_down(Cluster& cluster, const DownRequest& request, const Limits& limits) {
  const auto found = leaving(cluster, request, limits);
  DownPlan plan;
  std::vector<std::string> data, spaces;
  for (const auto& object : found.gone) {
    plan.objects.push_back(object.ref().text());
    if (object.kind() == "PersistentVolumeClaim") data.push_back(object.name());
    if (is_namespace(object)) spaces.push_back(object.name());
  }
  for (const auto& object : found.kept) plan.kept.push_back(object.ref().text());
  plan.text = fmt::format("{} objects", plan.objects.size());
  if (!data.empty()) plan.text += fmt::format(" and with {} CLAIMS THEIR DATA: {}", data.size(), fmt::join(data, ", "));
  if (!spaces.empty()) plan.text += fmt::format(", among them the namespace {} WITH ALL THAT IS IN IT", fmt::join(spaces, ", "));
  if (!plan.kept.empty()) plan.text += fmt::format(" ({} stay{})", fmt::join(plan.kept, ", "), plan.kept.size() == 1 ? "s" : "");
  plan.json = nlohmann::json{{"exit", 0}, {"objects", plan.objects}, {"kept", plan.kept}}.dump();
  return plan;
}

void down(Cluster& cluster, const DownRequest& request, const Limits& limits) {
  Transaction transaction{cluster, request.command, request.lock_wait, limits};
  transaction.take_down(leaving(cluster, request, limits).gone, limits);
}

}  // namespace codops::ops::kubernetes
