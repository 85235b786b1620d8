#include "lib/kube/rollout_progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/kube/pod_view.hpp"
#include "lib/text/problems.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

std::string count(std::int64_t number, std::string_view what) { return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s"); }

// minReadySeconds make a pod that is ready wait: the longest wait that is left, for people.
std::string until_available(const Observation& observed, WallTime wall) {
  const auto least = Milliseconds{1000} * number_in(observed.workload.json(), "/spec/minReadySeconds");
  if (least <= Milliseconds{0}) return {};
  Milliseconds longest{0};
  for (const auto& pod : new_pods(observed)) {
    const auto since = parse_rfc3339(view_of(pod).ready_since);
    if (since) longest = std::max(longest, std::chrono::duration_cast<Milliseconds>(*since + least - wall));
  }
  return longest > Milliseconds{0} ? fmt::format(", watched for another {}", format_duration(longest)) : std::string{};
}

Progress of_deployment(const Observation& observed, WallTime wall) {
  const auto& json = observed.workload.json();
  Progress progress;
  const auto wanted = number_in(json, "/spec/replicas", 1);
  const auto all = number_in(json, "/status/replicas"), updated = number_in(json, "/status/updatedReplicas"), available = number_in(json, "/status/availableReplicas");
  if (const auto* condition = condition_of(json, "Progressing"); condition && text_in(*condition, "/reason") == "ProgressDeadlineExceeded") {
    progress.failure = "ProgressDeadlineExceeded";
    progress.failure_text = fmt::format("made no progress for {} s: {}/{} updated, {} available", number_in(json, "/spec/progressDeadlineSeconds", 600), updated, wanted, available);
  }
  if (updated < wanted) {
    progress.text = fmt::format("{}/{} updated, {} available", updated, wanted, available);
  } else if (all > updated) {
    progress.text = fmt::format("{}/{} updated, {} left", updated, wanted, count(all - updated, "old pod"));
  } else if (available < updated) {
    progress.text = fmt::format("{}/{} updated, {} available", updated, wanted, available);
  } else {
    progress.done = true;
    progress.failure.clear();
    progress.text = fmt::format("{}/{} ready", number_in(json, "/status/readyReplicas"), wanted);
    return progress;
  }
  progress.text += until_available(observed, wall);
  return progress;
}

Progress of_daemon_set(const Observation& observed, WallTime wall) {
  const auto& json = observed.workload.json();
  Progress progress;
  const auto wanted = number_in(json, "/status/desiredNumberScheduled"), updated = number_in(json, "/status/updatedNumberScheduled"), available = number_in(json, "/status/numberAvailable");
  progress.done = updated >= wanted && available >= wanted;
  progress.text = progress.done ? fmt::format("{}/{} ready", number_in(json, "/status/numberReady"), wanted) : fmt::format("{}/{} updated, {} available{}", updated, wanted, available, until_available(observed, wall));
  return progress;
}

Progress of_stateful_set(const Observation& observed, WallTime wall) {
  const auto& json = observed.workload.json();
  Progress progress;
  const auto wanted = number_in(json, "/spec/replicas", 1), partition = number_in(json, "/spec/updateStrategy/rollingUpdate/partition");
  const auto ready = number_in(json, "/status/readyReplicas"), updated = number_in(json, "/status/updatedReplicas"), all = number_in(json, "/status/replicas");
  const auto available = number_in(json, "/status/availableReplicas", ready);
  const auto to_update = std::max<std::int64_t>(0, wanted - partition);
  const bool current = text_in(json, "/status/updateRevision") == text_in(json, "/status/currentRevision");
  const bool revision = partition > 0 ? updated >= to_update : current;
  progress.done = ready >= wanted && available >= wanted && revision && all == wanted;
  if (progress.done) {
    progress.text = fmt::format("{}/{} ready", ready, wanted);
  } else {
    progress.text = fmt::format("{}/{} updated, {} available{}", current ? std::min(all, to_update) : updated, to_update, available, until_available(observed, wall));
  }
  return progress;
}

Progress of_job(const Observation& observed) {
  const auto& json = observed.workload.json();
  Progress progress;
  const auto wanted = number_in(json, "/spec/completions", 1), succeeded = number_in(json, "/status/succeeded"), tries = number_in(json, "/status/failed");
  progress.text = fmt::format("{}/{} succeeded, {} running", succeeded, wanted, number_in(json, "/status/active"));
  if (tries > 0) progress.text += fmt::format(", {} failed {}", tries, tries == 1 ? "try" : "tries");
  if (const auto* complete = condition_of(json, "Complete")) progress.done = text_in(*complete, "/status") == "True";
  // FailureTarget comes first, while pods are still being ended; their logs are there already.
  for (const auto* type : {"Failed", "FailureTarget"}) {
    const auto* condition = condition_of(json, type);
    if (!condition || text_in(*condition, "/status") != "True" || progress.done) continue;
    progress.failure = text_in(*condition, "/reason");
    if (progress.failure.empty()) progress.failure = "JobFailed";
    progress.failure_text = fmt::format("failed: {}", text_in(*condition, "/message"));
    break;
  }
  if (progress.done) progress.text = fmt::format("{}/{} succeeded", succeeded, wanted);
  return progress;
}

// The controller has not seen what was applied last.
bool is_stale(const Observation& observed) {
  return number_in(observed.workload.json(), "/status/observedGeneration") < std::max(observed.generation, observed.workload.generation());
}

}  // namespace

const Object* current_revision(const Observation& observed) {
  const auto uid = observed.workload.uid();
  const Object* found = nullptr;
  if (observed.workload.kind() == "Deployment") {
    constexpr const char* revision = "deployment.kubernetes.io/revision";
    const auto wanted = observed.workload.annotation(revision);
    for (const auto& child : observed.children) {
      if (child.kind() == "ReplicaSet" && controller_of(child) == uid && !wanted.empty() && child.annotation(revision) == wanted) return &child;
    }
    return nullptr;
  }
  for (const auto& child : observed.children) {
    if (child.kind() != "ControllerRevision" || controller_of(child) != uid) continue;
    // A rollback makes the old revision the newest again.
    if (!found || number_in(found->json(), "/revision") < number_in(child.json(), "/revision")) found = &child;
  }
  return found;
}

std::string why_paused(const Object& workload) {
  const Json::json_pointer paused{"/spec/paused"};
  return workload.kind() == "Deployment" && workload.json().contains(paused) && workload.json().at(paused) == true ? "is paused: its pods do not change" : "";
}

Progress progress_of(const Observation& observed, WallTime wall) {
  const auto& json = observed.workload.json();
  const auto kind = observed.workload.kind();
  Progress progress;
  // A Job has no observedGeneration: its template can't change.
  if (kind != "Job" && is_stale(observed)) {
    progress.stale = true;
    progress.text = "waits for its controller";
    return progress;
  }
  const Json::json_pointer suspend{"/spec/suspend"};
  if (kind == "Job" && json.contains(suspend) && json.at(suspend) == true) return {false, true, "suspended: it does not run", {}, {}};
  if (text_in(json, "/spec/updateStrategy/type") == "OnDelete") return {false, true, "OnDelete: its pods change when they are deleted", {}, {}};
  if (kind == "Deployment") return of_deployment(observed, wall);
  if (kind == "DaemonSet") return of_daemon_set(observed, wall);
  if (kind == "StatefulSet") return of_stateful_set(observed, wall);
  if (kind == "Job") return of_job(observed);
  progress.done = true;
  return progress;
}

std::vector<Object> new_pods(const Observation& observed) {
  std::vector<Object> pods;
  const auto& workload = observed.workload;
  const auto kind = workload.kind();
  // Until the controller has seen it, its newest revision is that of the pods before.
  if (kind != "Job" && is_stale(observed)) return pods;
  const auto* revision = current_revision(observed);
  std::string owner = workload.uid(), hash;
  if (kind == "Deployment") {
    if (!revision) return pods;
    owner = revision->uid();
  } else if (kind == "StatefulSet") {
    hash = text_in(workload.json(), "/status/updateRevision");
  } else if (kind == "DaemonSet") {
    if (!revision) return pods;
    hash = revision->label("controller-revision-hash");
  }
  if (owner.empty()) return pods;
  for (const auto& pod : observed.pods) {
    if (controller_of(pod) == owner && (hash.empty() || pod.label("controller-revision-hash") == hash)) pods.push_back(pod);
  }
  return pods;
}

std::vector<Object> stuck_pods(const Observation& observed) {
  std::vector<Object> stuck;
  if (observed.workload.kind() != "StatefulSet") return stuck;
  const auto& json = observed.workload.json();
  const auto update = text_in(json, "/status/updateRevision");
  if (update.empty() || is_stale(observed)) return stuck;
  for (const auto& pod : observed.pods) {
    if (controller_of(pod) != observed.workload.uid() || pod.label("controller-revision-hash") == update) continue;
    const auto view = view_of(pod);
    if (!view.ready && !view.terminating) stuck.push_back(pod);
  }
  return stuck;
}

std::vector<std::string> refuse_early(const std::vector<Object>& desired) {
  std::vector<std::string> lines;
  for (const auto& object : desired) {
    const auto why = is_workload(object) ? why_paused(object) : std::string{};
    if (why.empty()) continue;
    const auto at = object.at("spec.paused").text();
    lines.push_back(fmt::format("{}{}{} {}", at, at.empty() ? "" : ": ", object.ref().text(), why));
  }
  return lines;
}

}  // namespace codops::kube
