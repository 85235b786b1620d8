#pragma once
// What somebody changed by hand since the release was applied, a line each; Services are in services.hpp, pods in lib/kube/drift.
#include <map>
#include <string>
#include <vector>

#include "lib/kube/summary.hpp"
#include "lib/ops/kubernetes/questions.hpp"
#include "lib/release/release.hpp"

namespace codops::ops::kubernetes {

// ConfigMaps and Secrets of the release, by the set's label; `live` must outlive the answers.
void ask_about_data(Questions& questions, const Cluster& cluster, const std::vector<kube::Object>& objects, std::vector<kube::Object>& live);
// "configmap/web: the key URL was changed". What has lost its label is asked for by name.
std::vector<std::string> drift_of_data(Cluster& cluster, const std::vector<kube::Object>& objects, const std::vector<kube::Object>& live, const Limits& limits);

// All other objects of the release (workloads, Services and data aside): "ingress/web was removed", "cronjob/nightly was suspended by hand".
// By the objects' order, "" for those that are as they should be; both must outlive the answers.
void ask_about_others(Questions& questions, Cluster& cluster, const std::vector<kube::Object>& objects, std::vector<std::string>& lines, const Limits& limits);

// Numbers of replicas. Autoscalers are asked for when one differs, once in a namespace.
class ReplicaDrift {
 public:
  ReplicaDrift(Cluster& cluster, const release::Release& release, const Limits& limits) : cluster_{cluster}, release_{release}, limits_{limits} {}
  // "" when it is as the release has it. Else `summary` is counted by the release's number.
  std::string of(const kube::Object& on_record, const kube::Object& live, kube::WorkloadSummary& summary);

 private:
  bool is_autoscaled(const kube::Object& workload);

  Cluster& cluster_;
  const release::Release& release_;
  Limits limits_;
  std::map<std::string, std::optional<std::vector<kube::Object>>> autoscalers_;  // by namespace; nullopt: the user may not look
};

bool holds_data(const kube::Object& object);

}  // namespace codops::ops::kubernetes
