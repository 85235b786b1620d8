#include "lib/ops/kubernetes/down.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/transaction.hpp"

namespace codops::ops::kubernetes {
namespace {

bool is_namespace(const kube::Object& object) { return object.kind() == "Namespace" && object.group().empty(); }

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
  kube::sort_for_delete(all);
  for (auto& object : all) {
    const bool stays = (object.kind() == "PersistentVolumeClaim" && !request.volumes) || (is_namespace(object) && !request.namespace_) ||
                       object.kind() == "CustomResourceDefinition";
    (stays ? leaving.kept : leaving.gone).push_back(std::move(object));
  }
  return leaving;
}

}  // namespace

DownPlan plan_down(Cluster& cluster, const DownRequest& request, const Limits& limits) {
  const auto found = leaving(cluster, request, limits);
  DownPlan plan;
  std::vector<std::string> data;
  for (const auto& object : found.gone) {
    plan.objects.push_back(object.ref().text());
    if (object.kind() == "PersistentVolumeClaim") data.push_back(object.name());
  }
  for (const auto& object : found.kept) plan.kept.push_back(object.ref().text());
  plan.text = fmt::format("{} objects", plan.objects.size());
  if (!data.empty()) plan.text += fmt::format(" and with {} CLAIMS THEIR DATA: {}", data.size(), fmt::join(data, ", "));
  if (!plan.kept.empty()) plan.text += fmt::format(" ({} stay{})", fmt::join(plan.kept, ", "), plan.kept.size() == 1 ? "s" : "");
  plan.json = nlohmann::json{{"exit", 0}, {"objects", plan.objects}, {"kept", plan.kept}}.dump();
  return plan;
}

void down(Cluster& cluster, const DownRequest& request, const Limits& limits) {
  Transaction transaction{cluster, request.command, request.lock_wait, limits};
  const auto found = leaving(cluster, request, limits);
  // Recorded first: should it die half way, the next command must not believe that the release still serves.
  release::HistoryEntry entry;
  entry.action = "down";
  entry.result = "ok";
  if (const auto* current = transaction.observed().snapshot.current()) {
    entry.release = current->number;
    entry.version = current->version;
  }
  transaction.record(entry, limits);
  for (const auto& object : found.gone) {
    transaction.still_holding(limits);
    cluster.api().remove(ref_of(object), {.uid = object.uid()}, limits);
  }
}

}  // namespace codops::ops::kubernetes
