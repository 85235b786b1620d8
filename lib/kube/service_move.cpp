#include "lib/kube/service_move.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/kube/pod_view.hpp"
#include "lib/kube/replicas.hpp"
#include "lib/kube/service_reach.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;
using Targets = std::map<std::string, Json>;  // "80/TCP" → the pods' port: its number or name

const Json& list_in(const Json& value, const char* pointer) {
  static const Json none = Json::array();
  const Json::json_pointer at{pointer};
  return value.is_object() && value.contains(at) && value.at(at).is_array() ? value.at(at) : none;
}

Json pods_meant(const Object& service) {
  if (text_in(service.json(), "/spec/type") == "ExternalName") return Json::object();
  const Json::json_pointer at{"/spec/selector"};
  return service.json().is_object() && service.json().contains(at) && service.json().at(at).is_object() ? service.json().at(at) : Json::object();
}

Targets targets_of(const Object& service) {
  Targets targets;
  for (const auto& port : list_in(service.json(), "/spec/ports")) {
    const auto number = number_in(port, "/port");
    auto target = port.value("targetPort", Json(number));
    if (target == 0 || target == "") target = number;
    targets[fmt::format("{}/{}", number, port.value("protocol", "TCP"))] = std::move(target);
  }
  return targets;
}

// Those that the two lead to different ports.
std::vector<std::string> moved_ports(const Targets& before, const Targets& after) {
  std::vector<std::string> moved;
  for (const auto& [port, target] : after) {
    const auto was = before.find(port);
    if (was != before.end() && was->second != target) moved.push_back(port);
  }
  return moved;
}

bool answers_at(const Object& workload, const Json& target) {
  for (const auto* place : {"/spec/template/spec/containers", "/spec/template/spec/initContainers"}) {
    for (const auto& container : list_in(workload.json(), place)) {
      for (const auto& port : list_in(container, "/ports")) {
        if (target.is_string() ? port.value("name", "") == target : port.value("containerPort", Json()) == target) return true;
      }
    }
  }
  return false;
}

bool answers_at(const Object& workload, const Targets& targets, const std::vector<std::string>& ports) {
  return std::all_of(ports.begin(), ports.end(), [&](const auto& port) { return answers_at(workload, targets.at(port)); });
}

bool runs_none(const Object& workload) { return has_replicas(workload) && replicas_of(workload) == 0; }

std::string shown_target(const Json& target) { return target.is_string() ? target.get<std::string>() : target.dump(); }

}  // namespace

bool leads_elsewhere(const Object& live, const Object& wanted) {
  return pods_meant(live) != pods_meant(wanted) || !moved_ports(targets_of(live), targets_of(wanted)).empty();
}

bool is_started(const WorkloadChange& change) {
  if (change.after.empty() || change.after.kind() == "Job" || runs_none(change.after)) return false;
  return change.before.empty() || change.new_pods || runs_none(change.before);
}

ServiceMove move_of(const Object& live, const Object& wanted, const std::vector<WorkloadChange>& workloads) {
  ServiceMove move;
  if (live.empty() || wanted.empty() || !leads_elsewhere(live, wanted)) return move;
  const auto before = targets_of(live), after = targets_of(wanted);
  const auto ports = moved_ports(before, after);
  // What serves now serves as well once it is led to in the new way.
  const auto serves_already = [&](const WorkloadChange& change) {
    return !change.before.empty() && !runs_none(change.before) && is_led_to(wanted, change.before) && answers_at(change.before, after, ports);
  };
  move.follows = std::any_of(workloads.begin(), workloads.end(), [&](const auto& change) {
    return is_started(change) && is_led_to(wanted, change.after) && !serves_already(change);
  });
  if (!move.follows) return move;
  const auto name = wanted.ref().text();
  const Object* leaves = nullptr;
  bool one_stays = false;
  for (const auto& change : workloads) {
    if (change.before.empty() || change.before.kind() == "Job" || runs_none(change.before) || !is_led_to(live, change.before)) continue;
    if (change.after.empty() || (!change.new_pods && !runs_none(change.after))) {
      one_stays = true;
    } else if (runs_none(change.after) || !is_led_to(live, change.after)) {
      leaves = &change.before;
    } else if (answers_at(change.after, before, ports)) {
      one_stays = true;
    } else {
      move.gap = fmt::format("{}: its port {} leads to {}, which was {}, while old and new pods of {} stand side by side and answer at one of them each", name, ports.front(),
                             shown_target(after.at(ports.front())), shown_target(before.at(ports.front())), change.after.ref().text());
      return move;
    }
  }
  if (leaves != nullptr && !one_stays) move.gap = fmt::format("{}: the pods of {} that it leads to go before it leads to others", name, leaves->ref().text());
  return move;
}

bool newly_names(const Object& live, const Object& wanted, const std::vector<std::string>& services) {
  if (!wanted.json().contains("spec")) return false;
  const auto now = live.json().value("spec", Json::object()).dump(), then = wanted.json().at("spec").dump();
  return std::any_of(services.begin(), services.end(), [&](const auto& name) {
    const auto quoted = Json(name).dump();
    return then.find(quoted) != std::string::npos && now.find(quoted) == std::string::npos;
  });
}

bool reaches_its_pods(const Object& service, const std::vector<Object>& slices, const std::vector<Object>& pods) {
  std::set<std::string> meant, ready, found;
  for (const auto& pod : pods) {
    const auto view = view_of(pod);
    meant.insert(view.name);
    if (view.ready && !view.terminating) ready.insert(view.name);
  }
  std::set<std::int64_t> numbers;
  for (const auto& slice : slices) {
    if (slice.namespace_() != service.namespace_() || slice.label("kubernetes.io/service-name") != service.name()) continue;
    const auto& endpoints = list_in(slice.json(), "/endpoints");
    for (const auto& endpoint : endpoints) {
      if (endpoint.value("/conditions/ready"_json_pointer, true)) found.insert(text_in(endpoint, "/targetRef/name"));
    }
    if (endpoints.empty()) continue;
    for (const auto& port : list_in(slice.json(), "/ports")) numbers.insert(number_in(port, "/port"));
  }
  if (!std::includes(meant.begin(), meant.end(), found.begin(), found.end()) || !std::includes(found.begin(), found.end(), ready.begin(), ready.end())) return false;
  if (found.empty()) return true;
  const auto targets = targets_of(service);
  return std::all_of(targets.begin(), targets.end(), [&](const auto& target) { return !target.second.is_number_integer() || numbers.contains(target.second.template get<std::int64_t>()); });
}

std::string selection_of(const Object& service) {
  std::string text;
  const auto selector = pods_meant(service);
  for (const auto& [name, value] : selector.items()) {
    if (value.is_string()) text += fmt::format("{}{}={}", text.empty() ? "" : ",", name, value.get<std::string>());
  }
  return text;
}

}  // namespace codops::kube
