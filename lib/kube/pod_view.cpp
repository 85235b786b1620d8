#include "lib/kube/pod_view.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

namespace codops::kube {
namespace {

using Json = nlohmann::json;

Ended ended_of(const Json& terminated) {
  return {static_cast<int>(number_in(terminated, "/exitCode")), static_cast<int>(number_in(terminated, "/signal")), text_in(terminated, "/reason"),
          text_in(terminated, "/message"), text_in(terminated, "/finishedAt"), text_in(terminated, "/startedAt")};
}

const Json* object_in(const Json& value, const char* pointer) {
  const Json::json_pointer at{pointer};
  return value.is_structured() && value.contains(at) && value.at(at).is_object() ? &value.at(at) : nullptr;
}

ContainerView container_of(const Json& status, bool init) {
  ContainerView view;
  view.name = text_in(status, "/name");
  view.init = init;
  view.ready = status.contains("ready") && status["ready"] == true;
  view.started = status.contains("started") && status["started"] == true;
  view.restarts = static_cast<int>(number_in(status, "/restartCount"));
  view.running = object_in(status, "/state/running") != nullptr;
  view.waiting = text_in(status, "/state/waiting/reason");
  view.waiting_message = text_in(status, "/state/waiting/message");
  if (const auto* ended = object_in(status, "/state/terminated")) view.ended = ended_of(*ended);
  if (const auto* ended = object_in(status, "/lastState/terminated")) view.last = ended_of(*ended);
  return view;
}

}  // namespace

std::string text_in(const Json& value, const char* pointer) {
  const Json::json_pointer at{pointer};
  if (!value.is_structured() || !value.contains(at)) return {};
  const auto& found = value.at(at);
  return found.is_string() ? found.get<std::string>() : std::string{};
}

std::int64_t number_in(const Json& value, const char* pointer, std::int64_t otherwise) {
  const Json::json_pointer at{pointer};
  if (!value.is_structured() || !value.contains(at)) return otherwise;
  const auto& found = value.at(at);
  return found.is_number_integer() ? found.get<std::int64_t>() : otherwise;
}

const Json* condition_of(const Json& object, const std::string& type) {
  const Json::json_pointer at{"/status/conditions"};
  if (!object.is_object() || !object.contains(at) || !object.at(at).is_array()) return nullptr;
  for (const auto& condition : object.at(at)) {
    if (text_in(condition, "/type") == type) return &condition;
  }
  return nullptr;
}

PodView view_of(const Object& pod) {
  const auto& json = pod.json();
  PodView view;
  view.name = pod.name();
  view.phase = text_in(json, "/status/phase");
  view.reason = text_in(json, "/status/reason");
  view.message = text_in(json, "/status/message");
  view.terminating = !text_in(json, "/metadata/deletionTimestamp").empty();
  if (const auto* ready = condition_of(json, "Ready")) {
    view.ready = text_in(*ready, "/status") == "True";
    if (view.ready) view.ready_since = text_in(*ready, "/lastTransitionTime");
  }
  if (const auto* scheduled = condition_of(json, "PodScheduled"); scheduled && text_in(*scheduled, "/status") == "False" && text_in(*scheduled, "/reason") == "Unschedulable") {
    view.unschedulable = text_in(*scheduled, "/message");
    if (view.unschedulable.empty()) view.unschedulable = "no node takes it";
  }
  std::set<std::string> sidecars;
  if (const auto* spec = object_in(json, "/spec"); spec && spec->contains("initContainers") && (*spec)["initContainers"].is_array()) {
    for (const auto& container : (*spec)["initContainers"]) {
      if (text_in(container, "/restartPolicy") == "Always") sidecars.insert(text_in(container, "/name"));
    }
  }
  if (const auto* status = object_in(json, "/status")) {
    for (const auto* list : {"initContainerStatuses", "containerStatuses"}) {
      if (!status->contains(list) || !(*status)[list].is_array()) continue;
      for (const auto& one : (*status)[list]) {
        auto container = container_of(one, std::string_view{list} == "initContainerStatuses");
        container.sidecar = sidecars.contains(container.name);
        view.containers.push_back(std::move(container));
      }
    }
  }
  return view;
}

std::string controller_of(const Object& object) {
  const Json::json_pointer at{"/metadata/ownerReferences"};
  if (!object.json().is_object() || !object.json().contains(at) || !object.json().at(at).is_array()) return {};
  for (const auto& owner : object.json().at(at)) {
    if (owner.is_object() && owner.contains("controller") && owner["controller"] == true) return text_in(owner, "/uid");
  }
  return {};
}

EventView event_of(const Object& event) {
  const auto& json = event.json();
  // core/v1 and events.k8s.io/v1 have other names for the same.
  const bool core = json.is_object() && json.contains("involvedObject");
  const std::string about = core ? "/involvedObject" : "/regarding";
  EventView view;
  view.reason = text_in(json, "/reason");
  view.message = text_in(json, core ? "/message" : "/note");
  view.type = text_in(json, "/type");
  view.uid = text_in(json, (about + "/uid").c_str());
  view.kind = text_in(json, (about + "/kind").c_str());
  view.name = text_in(json, (about + "/name").c_str());
  for (const auto* stamp : {"/lastTimestamp", "/deprecatedLastTimestamp", "/series/lastObservedTime", "/eventTime", "/firstTimestamp", "/metadata/creationTimestamp"}) {
    if (auto time = text_in(json, stamp); time > view.last) view.last = std::move(time);
  }
  return view;
}

std::string ended_words(const Ended& ended, const std::string& memory_limit) {
  if (ended.reason == "OOMKilled") return memory_limit.empty() ? "was killed: out of memory" : fmt::format("was killed: out of memory, its limit is {}", memory_limit);
  if (ended.signal != 0) return fmt::format("was killed by signal {}", ended.signal);
  if (ended.reason == "ContainerCannotRun" || ended.reason == "StartError") return fmt::format("could not start: {}", ended.message);
  return fmt::format("exited with {}", ended.exit_code);
}

std::string memory_limit_of(const Object& pod, const std::string& container) {
  for (const auto* list : {"/spec/containers", "/spec/initContainers"}) {
    const Json::json_pointer at{list};
    if (!pod.json().is_object() || !pod.json().contains(at) || !pod.json().at(at).is_array()) continue;
    for (const auto& one : pod.json().at(at)) {
      if (text_in(one, "/name") == container) return text_in(one, "/resources/limits/memory");
    }
  }
  return {};
}

}  // namespace codops::kube
