#pragma once
// Services of the release that serves: a workload whose pods are well serves nobody when its Service leads elsewhere.
#include <set>
#include <string>
#include <vector>

#include "lib/ops/kubernetes/questions.hpp"
#include "lib/ops/kubernetes/status.hpp"

namespace codops::ops::kubernetes {

struct ServiceState {
  kube::Ref ref;
  bool exists{false};
  int expected{}, ready{};         // pods that it means by the release, and endpoints that it has
  std::string why;                 // why requests reach nobody; "" when they do
  std::vector<std::string> drift;  // what was changed by hand
};

struct SeenServices {
  std::vector<kube::Object> services, slices;
  std::set<std::string> unknown, unknown_slices;  // namespaces where the user may not look
};
// In the namespaces of the Services among `objects`, and of those that mean pods of theirs the endpoints. `seen` must outlive the answers.
void ask_about_services(Questions& questions, const std::vector<kube::Object>& objects, SeenServices& seen);
// Of each Service among the release's `objects`.
std::vector<ServiceState> service_states(const std::vector<kube::Object>& objects, const std::vector<kube::WorkloadSummary>& summaries, const SeenServices& seen);

// "service/web": those that mean pods of the release, as health-check names them.
std::vector<std::string> service_names(const std::vector<kube::Object>& objects);
bool names_service(std::string_view name);
// nullopt: the release has none of that name, or the user may not look.
std::optional<ServiceState> service_state(Cluster& cluster, const std::string& name, const Limits& limits);

}  // namespace codops::ops::kubernetes
