#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/kube/pod_view.hpp"
#include "lib/kube/schema.hpp"
#include "lib/kube/window.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

const Json& at_or_null(const Object& object, const std::string& pointer) {
  static const Json none;
  const Json::json_pointer at{pointer};
  return object.json().is_object() && object.json().contains(at) ? object.json().at(at) : none;
}

// Every label of `selector` is among `labels`.
bool selects(const Json& selector, const Json& labels) {
  if (!selector.is_object() || selector.empty() || !labels.is_object()) return false;
  return std::all_of(selector.items().begin(), selector.items().end(), [&](const auto& entry) { return labels.contains(entry.key()) && labels[entry.key()] == entry.value(); });
}

std::int64_t resolved(const Json& value, std::int64_t replicas) {  // maxUnavailable rounds down
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_string()) return 0;
  const auto text = value.get<std::string>();
  std::int64_t number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return text.ends_with('%') ? replicas * number / 100 : number;
}

bool scales(const Json& target, const Object& workload) {
  return text_in(target, "/kind") == workload.kind() && text_in(target, "/name") == workload.name();
}

const Object* autoscaler_of(const Object& workload, const std::vector<Object>& all) {
  for (const auto& object : all) {
    if (object.kind() == "HorizontalPodAutoscaler" && object.namespace_() == workload.namespace_() && scales(at_or_null(object, "/spec/scaleTargetRef"), workload)) return &object;
  }
  return nullptr;
}

class Advisor {
 public:
  explicit Advisor(const std::vector<Object>& all) : all_{all} {}

  std::vector<Advice> take() {
    for (const auto& object : all_) {
      const auto kind = object.kind();
      if (object.group() == "apps" && (kind == "Deployment" || kind == "StatefulSet") && is_served(object)) workload(object);
    }
    return std::move(advice_);
  }

 private:
  bool is_served(const Object& object) {
    ports_.clear();
    const auto& labels = at_or_null(object, "/spec/template/metadata/labels");
    bool served = false;
    for (const auto& service : all_) {
      if (service.kind() != "Service" || !service.group().empty() || service.namespace_() != object.namespace_()) continue;
      if (!selects(at_or_null(service, "/spec/selector"), labels)) continue;
      served = true;
      const auto& ports = at_or_null(service, "/spec/ports");
      if (!ports.is_array()) continue;
      for (const auto& port : ports) {
        if (port.is_object()) ports_.push_back(port.contains("targetPort") ? port["targetPort"] : port.value("port", Json{}));
      }
    }
    return served;
  }

  // The container that the Service's port leads to; of one container, that one.
  bool is_behind(const Json& container, std::size_t containers) const {
    if (containers == 1) return true;
    const auto ports = container.find("ports");
    if (ports == container.end() || !ports->is_array()) return false;
    return std::any_of(ports->begin(), ports->end(), [&](const Json& port) {
      return std::any_of(ports_.begin(), ports_.end(), [&](const Json& target) {
        return (port.contains("containerPort") && port["containerPort"] == target) || (port.contains("name") && port["name"] == target);
      });
    });
  }

  void workload(const Object& object) {
    const auto& containers = at_or_null(object, "/spec/template/spec/containers");
    if (!containers.is_array()) return;
    for (std::size_t i = 0; i < containers.size(); ++i) {
      if (containers[i].is_object() && is_behind(containers[i], containers.size())) container(object, containers[i], i);
    }
    const auto* autoscaler = autoscaler_of(object, all_);
    const auto replicas = autoscaler ? number_in(autoscaler->json(), "/spec/minReplicas", 1) : number_in(object.json(), "/spec/replicas", 1);
    if (object.kind() == "Deployment") strategy(object, replicas);
    if (replicas < 2 || has_budget(object)) return;
    add(object, object.at(), "has no PodDisruptionBudget: a node that is drained may take all its pods at once",
        {fmt::format("{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: {}}},", object.name()),
         fmt::format(" spec: {{maxUnavailable: 1, selector: {{matchLabels: {}}}}}}}", at_or_null(object, "/spec/selector/matchLabels").dump())});
  }

  void container(const Object& object, const Json& container, std::size_t index) {
    const auto name = text_in(container, "/name");
    const auto at = object.at(fmt::format("spec.template.spec.containers[{}]", index));
    if (!container.contains("readinessProbe")) {
      Json port = ports_.empty() ? Json{} : ports_.front();
      add(object, at, fmt::format("container \"{}\" has no readinessProbe: requests reach it before it can answer", name),
          {"readinessProbe:", fmt::format("  httpGet: {{path: /ready, port: {}}}", port.is_null() ? "PORT" : port.is_string() ? port.get<std::string>() : port.dump())});
    }
    const Json::json_pointer hook{"/lifecycle/preStop"};
    if (!container.contains(hook))
      add(object, at, fmt::format("container \"{}\" has no preStop: requests that are on their way when it is told to stop are lost, unless it goes on answering after SIGTERM", name),
          {"lifecycle:", "  preStop: {sleep: {seconds: 5}}"});
  }

  void strategy(const Object& object, std::int64_t replicas) {
    if (text_in(object.json(), "/spec/strategy/type") == "Recreate") {
      add(object, object.at("spec.strategy"), "has strategy Recreate: nothing answers between the old pods and the new ones", {"strategy:", "  type: RollingUpdate"});
      return;
    }
    const auto& unavailable = at_or_null(object, "/spec/strategy/rollingUpdate/maxUnavailable");
    if (unavailable.is_null() || resolved(unavailable, replicas) < std::max<std::int64_t>(replicas, 1)) return;
    add(object, object.at("spec.strategy.rollingUpdate.maxUnavailable"), fmt::format("maxUnavailable {} with {} replica{}: all of them may be gone at once", unavailable.is_string() ? unavailable.get<std::string>() : unavailable.dump(), replicas, replicas == 1 ? "" : "s"),
        {"rollingUpdate:", "  maxUnavailable: 0"});
  }

  bool has_budget(const Object& object) const {
    const auto& labels = at_or_null(object, "/spec/template/metadata/labels");
    return std::any_of(all_.begin(), all_.end(), [&](const Object& budget) {
      return budget.kind() == "PodDisruptionBudget" && budget.namespace_() == object.namespace_() && selects(at_or_null(budget, "/spec/selector/matchLabels"), labels);
    });
  }

  void add(const Object& object, text::Position at, std::string what, std::vector<std::string> lines) { advice_.push_back({object.ref(), std::move(at), std::move(what), std::move(lines)}); }

  const std::vector<Object>& all_;
  std::vector<Json> ports_;  // that Services lead to
  std::vector<Advice> advice_;
};

bool owns_replicas(const Object& live, const std::string& manager) {
  const auto& entries = at_or_null(live, "/metadata/managedFields");
  if (!entries.is_array()) return false;
  bool ours = false;
  for (const auto& entry : entries) {
    const Json::json_pointer field{"/fieldsV1/f:spec/f:replicas"};
    if (!entry.is_object() || !entry.contains(field)) continue;
    if (text_in(entry, "/manager") != manager) return false;
    ours = true;
  }
  return ours;
}

}  // namespace

std::vector<Advice> advise(const std::vector<Object>& all) { return Advisor{all}.take(); }

bool is_autoscaled(const Object& workload, const std::vector<Object>& autoscalers) { return autoscaler_of(workload, autoscalers) != nullptr; }

std::vector<Ref> drop_scaled_replicas(std::vector<Object>& desired, const std::vector<Object>& live, const std::vector<Object>& live_autoscalers, const std::string& manager) {
  std::vector<Ref> scaled;
  const Json::json_pointer replicas{"/spec/replicas"};
  for (std::size_t i = 0; i < desired.size(); ++i) {
    if (!is_workload(desired[i]) && desired[i].kind() != "ReplicaSet") continue;
    if (!autoscaler_of(desired[i], desired) && !autoscaler_of(desired[i], live_autoscalers)) continue;
    scaled.push_back(desired[i].ref());
    const auto found = std::find_if(live.begin(), live.end(), [&](const Object& object) { return object.ref() == scaled.back(); });
    if (found != live.end() && owns_replicas(*found, manager) && found->json().contains(replicas)) {
      desired[i].edit()[replicas] = found->json().at(replicas);
    } else if (desired[i].json().contains(replicas)) {
      desired[i].edit()["spec"].erase("replicas");
    }
  }
  return scaled;
}

}  // namespace codops::kube
