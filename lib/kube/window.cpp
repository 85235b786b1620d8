#include "lib/kube/window.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/kube/pod_view.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

bool has(const Object& object, const char* pointer) {
  const Json::json_pointer at{pointer};
  return object.json().is_object() && object.json().contains(at) && !object.json().at(at).is_null();
}

bool is_zero(const Object& object, const char* pointer) {
  const Json::json_pointer at{pointer};
  if (!has(object, pointer)) return false;
  const auto& value = object.json().at(at);
  return value == 0 || value == "0" || value == "0%";
}

Json bare(const Object& object) {
  Json made{{"apiVersion", object.api_version()}, {"kind", object.kind()}, {"metadata", {{"name", object.name()}}}};
  if (!object.namespace_().empty()) made["metadata"]["namespace"] = object.namespace_();
  return made;
}

void remark(std::string* note, const Object& object, std::string_view words) {
  if (!note) return;
  if (!note->empty()) *note += "; ";
  *note += fmt::format("{} {}", object.ref().text(), words);
}

}  // namespace

std::optional<Window> window_for(const Object& desired, Milliseconds monitor, std::string* note) {
  const auto kind = desired.kind();
  const bool deployment = kind == "Deployment";
  if (!is_workload(desired) || kind == "Job" || monitor <= Milliseconds{0} || is_zero(desired, "/spec/replicas")) return std::nullopt;
  if (deployment && text_in(desired.json(), "/spec/strategy/type") == "Recreate") {
    remark(note, desired, "has strategy Recreate: its old pods are gone before new ones start, none are held for the monitor window");
    return std::nullopt;
  }
  if (text_in(desired.json(), "/spec/updateStrategy/type") == "OnDelete") return std::nullopt;

  auto seconds = (monitor.count() + 999) / 1000;
  auto patch = bare(desired);
  std::string text;
  if (!has(desired, "/spec/minReadySeconds")) {
    // The API server wants progressDeadlineSeconds to be more.
    if (const auto deadline = number_in(desired.json(), "/spec/progressDeadlineSeconds", 600); deployment && seconds >= deadline) {
      seconds = deadline - 1;
      remark(note, desired, fmt::format("has progressDeadlineSeconds {}: its new pods are watched for {} s only", deadline, seconds));
    }
    if (seconds > 0) {
      patch["spec"]["minReadySeconds"] = seconds;
      text = fmt::format("minReadySeconds {}", seconds);
    }
  } else if (const auto least = number_in(desired.json(), "/spec/minReadySeconds"); least < seconds) {
    remark(note, desired, fmt::format("sets minReadySeconds {} itself: old pods go that long after a new one became ready, before the monitor window ends", least));
  }
  if (deployment) {
    if (has(desired, "/spec/strategy/rollingUpdate/maxUnavailable")) {
      if (!is_zero(desired, "/spec/strategy/rollingUpdate/maxUnavailable")) remark(note, desired, "sets maxUnavailable itself: so many old pods go before new ones are ready");
    } else if (is_zero(desired, "/spec/strategy/rollingUpdate/maxSurge")) {
      remark(note, desired, "sets maxSurge 0: an old pod has to go before a new one can start");
    } else {
      patch["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = 0;
      text += fmt::format("{}maxUnavailable 0", text.empty() ? "" : ", ");
    }
  } else if (kind == "StatefulSet" && number_in(desired.json(), "/spec/replicas", 1) == 1) {
    remark(note, desired, "has one pod: it is replaced, nothing serves beside it");
  }
  if (text.empty()) return std::nullopt;
  return Window{desired.ref(), Object{std::move(patch)}, Object{bare(desired)}, text + " while the new pods are watched, then as the manifest has it"};
}

bool has_window(const Object& live) {
  const Json::json_pointer at{"/metadata/managedFields"};
  if (!live.json().is_object() || !live.json().contains(at) || !live.json().at(at).is_array()) return false;
  const auto& entries = live.json().at(at);
  return std::any_of(entries.begin(), entries.end(), [](const Json& entry) { return text_in(entry, "/manager") == window_manager; });
}

Object window_release(const Object& live) { return Object{bare(live)}; }

}  // namespace codops::kube
