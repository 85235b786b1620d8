#include "lib/kube/pod_essence.hpp"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "lib/kube/pod_view.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

Json only(const Json& from, std::initializer_list<const char*> names) {
  Json kept = Json::object();
  if (!from.is_object()) return kept;
  for (const auto* name : names) {
    if (const auto found = from.find(name); found != from.end()) kept[name] = *found;
  }
  return kept;
}

Json each_only(const Json& list, std::initializer_list<const char*> names) {
  Json kept = Json::array();
  for (const auto& one : list) kept.push_back(only(one, names));
  return kept;
}

// Ready and never restarted: nothing will ask how its containers were meant to be.
bool is_calm(const PodView& view) {
  return view.ready && !view.terminating &&
         std::all_of(view.containers.begin(), view.containers.end(), [](const auto& one) { return one.restarts == 0 && one.waiting.empty() && !one.last && (!one.ended || one.init); });
}

}  // namespace

Object essence_of(const Object& pod) {
  const auto& full = pod.json();
  if (!full.is_object() || !full.contains("metadata")) return pod;
  Json kept = only(full, {"apiVersion", "kind"});
  const auto& metadata = full.at("metadata");
  kept["metadata"] = only(metadata, {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"});
  if (metadata.contains("labels")) kept["metadata"]["labels"] = only(metadata.at("labels"), {"controller-revision-hash"});
  if (metadata.contains("ownerReferences")) kept["metadata"]["ownerReferences"] = each_only(metadata.at("ownerReferences"), {"uid", "controller"});
  const bool calm = is_calm(view_of(pod));
  if (const auto spec = full.find("spec"); spec != full.end()) {
    kept["spec"] = only(*spec, {"nodeName"});
    for (const auto* list : {"containers", "initContainers"}) {
      if (!spec->is_object() || !spec->contains(list)) continue;
      if (!calm) kept["spec"][list] = each_only(spec->at(list), {"name", "image", "restartPolicy", "resources"});
      else if (std::string_view{list} == "initContainers") kept["spec"][list] = each_only(spec->at(list), {"name", "restartPolicy"});
    }
    if (!calm && spec->is_object() && spec->contains("volumes")) kept["spec"]["volumes"] = each_only(spec->at("volumes"), {"name", "secret", "configMap", "projected"});
  }
  if (const auto status = full.find("status"); status != full.end()) {
    kept["status"] = only(*status, {"phase", "reason", "message", "podIP", "startTime"});
    if (status->is_object() && status->contains("conditions")) {
      auto& conditions = kept["status"]["conditions"] = Json::array();
      for (const auto& condition : status->at("conditions")) {
        if (!calm || text_in(condition, "/type") == "Ready") conditions.push_back(only(condition, {"type", "status", "reason", "message", "lastTransitionTime"}));
      }
    }
    for (const auto* list : {"containerStatuses", "initContainerStatuses"}) {
      if (status->is_object() && status->contains(list)) kept["status"][list] = each_only(status->at(list), {"name", "ready", "started", "restartCount", "state", "lastState"});
    }
  }
  return Object{std::move(kept)};
}

}  // namespace codops::kube
