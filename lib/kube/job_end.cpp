#include "lib/kube/job_end.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/kube/pod_view.hpp"

namespace codops::kube {

bool has_succeeded(const Object& live) {
  if (live.empty() || live.kind() != "Job") return false;
  const auto* complete = condition_of(live.json(), "Complete");
  return complete != nullptr && text_in(*complete, "/status") == "True";
}

bool tidies_itself_up(const Object& job) {
  return job.kind() == "Job" && job.group() == "batch" && number_in(job.json(), "/spec/ttlSecondsAfterFinished", -1) >= 0;
}

bool is_told_complete(const Object& job, const std::string& uid, const std::vector<Object>& events) {
  return std::any_of(events.begin(), events.end(), [&](const Object& object) {
    const auto event = event_of(object);
    return event.reason == "Completed" && event.kind == "Job" && event.name == job.name() && object.namespace_() == job.namespace_() && (uid.empty() || event.uid == uid);
  });
}

WorkloadSummary summary_of_tidied(const Object& on_record) {
  Observation observed;
  observed.workload = on_record;
  auto summary = summarise(observed, {});
  summary.ready = summary.updated = summary.available = summary.desired;
  summary.healthy = true;
  summary.since.clear();
  summary.why.clear();
  return summary;
}

}  // namespace codops::kube
