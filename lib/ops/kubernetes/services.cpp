// Services of the release that serves: are they there, and do they lead to its pods?
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/parallel.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/fields.hpp"
#include "lib/kube/service_reach.hpp"
#include "lib/ops/kubernetes/observed.hpp"
#include "lib/ops/kubernetes/services.hpp"

namespace codops::ops::kubernetes {
namespace {

constexpr std::string_view name_prefix = "service/";

bool is_service(const kube::Object& object) { return object.kind() == "Service" && object.group().empty(); }

// A user who may not look at them is told nothing of them.
std::optional<std::vector<kube::Object>> listed(Cluster& cluster, const char* api_version, const char* kind, const std::string& namespace_, const Limits& limits) {
  std::vector<kube::Object> found;
  try {
    cluster.api().list(api_version, kind, namespace_, {}, [&](nlohmann::json&& json) { found.emplace_back(std::move(json)); }, limits);
  } catch (const k8s::ApiError& error) {
    if (error.status() != 403) throw;
    return std::nullopt;
  }
  return found;
}

bool is_meant(const kube::Object& service, const std::vector<kube::Object>& objects) {
  return std::any_of(objects.begin(), objects.end(), [&](const auto& workload) { return kube::is_workload(workload) && workload.kind() != "Job" && kube::is_led_to(service, workload); });
}

}  // namespace

SeenServices look_at_services(Cluster& cluster, const std::vector<kube::Object>& objects, const Limits& limits) {
  SeenServices seen;
  std::set<std::string> namespaces;
  for (const auto& object : objects) {
    if (is_service(object)) namespaces.insert(object.namespace_());
  }
  for (const auto& namespace_ : namespaces) {
    std::optional<std::vector<kube::Object>> services, slices;
    in_parallel(2, k8s::most_connections, [&](std::size_t which) {
      if (which == 0) services = listed(cluster, "v1", "Service", namespace_, limits);
      else slices = listed(cluster, "discovery.k8s.io/v1", "EndpointSlice", namespace_, limits);
    });
    if (services) seen.services.insert(seen.services.end(), services->begin(), services->end());
    else seen.unknown.insert(namespace_);
    if (slices) seen.slices.insert(seen.slices.end(), slices->begin(), slices->end());
    else seen.unknown_slices.insert(namespace_);
  }
  return seen;
}

std::vector<ServiceState> service_states(const std::vector<kube::Object>& objects, const std::vector<kube::WorkloadSummary>& workloads, const SeenServices& seen) {
  std::vector<ServiceState> states;
  for (const auto& service : objects) {
    if (!is_service(service) || seen.unknown.contains(service.namespace_())) continue;
    ServiceState state;
    state.ref = service.ref();
    const auto live = std::find_if(seen.services.begin(), seen.services.end(), [&](const auto& one) { return one.ref() == service.ref(); });
    if (live == seen.services.end()) {
      state.why = "it was removed";
      states.push_back(std::move(state));
      continue;
    }
    state.exists = true;
    state.drift = kube::service_drift(service, *live);
    int up = 0;
    for (const auto& object : objects) {
      if (!kube::is_workload(object) || object.kind() == "Job" || !kube::is_led_to(service, object)) continue;
      for (const auto& workload : workloads) {
        if (workload.ref == object.ref()) {
          state.expected += workload.desired;
          up += workload.ready;
        }
      }
    }
    state.ready = seen.unknown_slices.contains(service.namespace_()) ? state.expected : kube::ready_endpoints(service, seen.slices);
    // Where no pod is ready the workload says why.
    if (state.ready == 0 && state.expected > 0 && up > 0) state.why = fmt::format("it leads to none of the {} pods that are ready{}", up, state.drift.empty() ? "" : ": " + state.drift.front());
    states.push_back(std::move(state));
  }
  return states;
}

std::vector<std::string> drift_of_others(Cluster& cluster, const std::vector<kube::Object>& objects, const Limits& limits) {
  static const nlohmann::json::json_pointer spec{"/spec"}, suspend{"/spec/suspend"};
  std::vector<const kube::Object*> others;
  for (const auto& object : objects) {
    const bool data = object.group().empty() && (object.kind() == "ConfigMap" || object.kind() == "Secret");
    if (!kube::is_workload(object) && !is_service(object) && !data) others.push_back(&object);
  }
  std::vector<std::string> lines(others.size());
  in_parallel(others.size(), k8s::most_connections, [&](std::size_t index) {
    const auto& object = *others[index];
    const auto tell = [&](std::string_view what) { lines[index] = fmt::format("{} {}", object.ref().text(), what); };
    try {
      const auto live = cluster.api().find(ref_of(object), limits);
      if (!live) tell("was removed");
      else if (object.kind() == "CronJob" && !object.json().contains(suspend) && live->value(suspend, false)) tell("was suspended by hand");
      // The server writes nothing of it in another way.
      else if (object.kind() == "Ingress" && object.json().contains(spec) && !kube::is_within(object.json().at(spec), live->value(spec, nlohmann::json::object()))) tell("was changed by hand");
    } catch (const Failure&) {
      limits.check("the look at the release's objects");  // who may not look is told nothing; a kind may be gone with its definition
    }
  });
  std::erase_if(lines, [](const auto& line) { return line.empty(); });
  return lines;
}

std::vector<std::string> service_names(const std::vector<kube::Object>& objects) {
  std::vector<std::string> names;
  for (const auto& object : objects) {
    if (is_service(object) && is_meant(object, objects)) names.push_back(std::string{name_prefix} + object.name());
  }
  return names;
}

bool names_service(std::string_view name) { return name.starts_with(name_prefix); }

std::optional<ServiceState> service_state(Cluster& cluster, const std::string& name, const Limits& limits) {
  const auto observed = observe_state(cluster, limits);
  const auto& objects = observed.current_objects;
  const auto wanted = name.substr(name_prefix.size());
  const auto found = std::find_if(objects.begin(), objects.end(), [&](const auto& object) { return is_service(object) && object.name() == wanted; });
  if (found == objects.end()) return std::nullopt;
  std::vector<kube::WorkloadSummary> workloads;
  for (const auto& object : objects) {
    if (!kube::is_workload(object) || object.kind() == "Job" || !kube::is_led_to(*found, object)) continue;
    if (auto summary = workload_summary(cluster, object.ref().text(), limits)) workloads.push_back(std::move(*summary));
  }
  for (auto& state : service_states(objects, workloads, look_at_services(cluster, {*found}, limits))) {
    if (state.ref == found->ref()) return state;
  }
  return std::nullopt;
}

}  // namespace codops::ops::kubernetes
