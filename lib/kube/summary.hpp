#pragma once
// What `status` says of workloads and pods.
#include <optional>
#include <string>
#include <vector>

#include "lib/kube/object.hpp"
#include "lib/kube/rollout.hpp"

namespace codops::kube {

struct PodSummary {
  std::string name, namespace_;
  std::string state;  // as kubectl's STATUS column: "Running", "CrashLoopBackOff", "Init:0/1", "Terminating"
  bool ready{}, healthy{};
  int containers{}, ready_containers{}, restarts{};
  std::string node, ip, started;  // RFC 3339, "" when not started
  std::string why;                // why it is not ready, in words; "" when it is
};
PodSummary summarise_pod(const Object& pod, const std::vector<Object>& events = {});

struct WorkloadSummary {
  Ref ref;
  int desired{}, ready{}, updated{}, available{};
  bool healthy{};                   // all desired are ready and of the current version
  bool paused{};
  std::vector<std::string> images;  // of its containers, as in the template
  std::string since;                // creation or the last new revision, RFC 3339
  std::vector<std::string> why;     // sentences, worst first: "web-7d9-abc: image \"x:y\" can't be pulled: not found"
  std::vector<PodSummary> pods;     // its own, not ready ones first
};
// `wall`: the server's time, for "watched for another 7 s".
WorkloadSummary summarise(const Observation& observed, WallTime wall);
// The cluster was told other numbers of replicas than the release has: fewer are an outage that it does not see itself.
// `wanted` is the release's.
void count_by_release(WorkloadSummary& summary, int wanted);

// What kubectl's users call it: "Deployment" → "deployment", for tables.
std::string short_kind(std::string_view kind);

}  // namespace codops::kube
