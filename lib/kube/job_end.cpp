#include "lib/kube/job_end.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/kube/pod_view.hpp"

namespace codops::kube {

namespace {

bool is_so(const Object& live, const char* condition) {
  if (live.empty() || live.kind() != "Job") return false;
  const auto* found = condition_of(live.json(), condition);
  return found != nullptr && text_in(*found, "/status") == "True";
}

}  // namespace

bool has_succeeded(const Object& live) { return is_so(live, "Complete"); }
bool has_ended(const Object& live) { return is_so(live, "Complete") || is_so(live, "Failed"); }

Object new_job(Object job) {
  auto& json = job.edit();
  const auto spec = json.find("spec");
  if (spec == json.end() || !spec->is_object() || spec->value("manualSelector", false)) return job;
  spec->erase("selector");
  for (const auto* labels : {"/metadata/labels", "/spec/template/metadata/labels"}) {
    const nlohmann::json::json_pointer at{labels};
    if (!json.contains(at) || !json.at(at).is_object()) continue;
    for (const auto* name : {"controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name"}) json.at(at).erase(name);
  }
  return job;
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
