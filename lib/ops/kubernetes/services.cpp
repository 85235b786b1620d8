// Services of the release that serves: are they there, and do they lead to its pods?
#include <fmt/format.h>

#include <map>

#include "lib/kube/service_reach.hpp"
#include "lib/ops/kubernetes/observed.hpp"
#include "lib/ops/kubernetes/services.hpp"

namespace codops::ops::kubernetes {
namespace {

constexpr std::string_view name_prefix = "service/";

bool is_service(const kube::Object& object) { return object.kind() == "Service" && object.group().empty(); }

// So many Services are named in the question for their endpoints; of more, all are asked for.
constexpr std::size_t worth_naming = 40;

// Those whose pods a Service may lead to.
std::vector<kube::Object> serving(const std::vector<kube::Object>& objects) {
  std::vector<kube::Object> some;
  std::copy_if(objects.begin(), objects.end(), std::back_inserter(some), [](const auto& object) { return kube::is_workload(object) && object.kind() != "Job"; });
  return some;
}

bool is_meant(const kube::Object& service, const std::vector<kube::Object>& workloads) {
  return std::any_of(workloads.begin(), workloads.end(), [&](const auto& workload) { return kube::is_led_to(service, workload); });
}

}  // namespace

void ask_about_services(Questions& questions, const std::vector<kube::Object>& objects, SeenServices& seen) {
  std::map<std::string, std::vector<std::string>> meant;  // by namespace
  const auto workloads = serving(objects);
  for (const auto& object : objects) {
    if (!is_service(object)) continue;
    auto& names = meant[object.namespace_()];
    if (is_meant(object, workloads)) names.push_back(object.name());
  }
  for (const auto& [namespace_, names] : meant) {
    // A user who may not look at them is told nothing of them.
    questions.list_if_allowed("v1", "Service", namespace_, {}, into(seen.services), [&seen, where = namespace_] { seen.unknown.insert(where); });
    if (names.empty()) continue;
    k8s::Selection of_these;
    if (names.size() <= worth_naming) of_these.labels = fmt::format("kubernetes.io/service-name in ({})", fmt::join(names, ","));
    questions.list_if_allowed("discovery.k8s.io/v1", "EndpointSlice", namespace_, of_these, into(seen.slices), [&seen, where = namespace_] { seen.unknown_slices.insert(where); });
  }
}

std::vector<ServiceState> service_states(const std::vector<kube::Object>& objects, const std::vector<kube::WorkloadSummary>& summaries, const SeenServices& seen) {
  std::map<kube::Ref, const kube::Object*> present;
  for (const auto& service : seen.services) present.emplace(service.ref(), &service);
  std::map<kube::Ref, const kube::WorkloadSummary*> known;
  for (const auto& summary : summaries) known.emplace(summary.ref, &summary);
  const auto workloads = serving(objects);
  std::vector<ServiceState> states;
  for (const auto& service : objects) {
    if (!is_service(service) || seen.unknown.contains(service.namespace_())) continue;
    ServiceState state;
    state.ref = service.ref();
    const auto live = present.find(state.ref);
    if (live == present.end()) {
      state.why = "it was removed";
      states.push_back(std::move(state));
      continue;
    }
    state.exists = true;
    state.drift = kube::service_drift(service, *live->second);
    int up = 0;
    for (const auto& workload : workloads) {
      if (!kube::is_led_to(service, workload)) continue;
      const auto summary = known.find(workload.ref());
      if (summary == known.end()) continue;
      state.expected += summary->second->desired;
      up += summary->second->ready;
    }
    state.ready = seen.unknown_slices.contains(service.namespace_()) ? state.expected : state.expected == 0 ? 0 : kube::ready_endpoints(service, seen.slices);
    // Where no pod is ready the workload says why.
    if (state.ready == 0 && state.expected > 0 && up > 0) state.why = fmt::format("it leads to none of the {} pods that are ready{}", up, state.drift.empty() ? "" : ": " + state.drift.front());
    states.push_back(std::move(state));
  }
  return states;
}

std::vector<std::string> service_names(const std::vector<kube::Object>& objects) {
  std::vector<std::string> names;
  const auto workloads = serving(objects);
  for (const auto& object : objects) {
    if (is_service(object) && is_meant(object, workloads)) names.push_back(std::string{name_prefix} + object.name());
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
  // It and those that it leads to.
  auto these = serving(objects);
  std::erase_if(these, [&](const auto& workload) { return !kube::is_led_to(*found, workload); });
  std::vector<kube::WorkloadSummary> summaries;
  for (const auto& workload : these) {
    if (auto summary = workload_summary(cluster, workload.ref().text(), observed, limits)) summaries.push_back(std::move(*summary));
  }
  these.push_back(*found);
  SeenServices seen;
  Questions questions{cluster, limits};
  ask_about_services(questions, these, seen);
  questions.answer();
  const auto states = service_states(these, summaries, seen);
  return states.empty() ? std::nullopt : std::optional{states.front()};
}

}  // namespace codops::ops::kubernetes
