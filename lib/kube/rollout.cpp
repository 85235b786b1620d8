#include "lib/kube/rollout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/ascii.hpp"
#include "lib/base/units.hpp"
#include "lib/kube/job_end.hpp"
#include "lib/kube/pod_view.hpp"
#include "lib/kube/rollout_pods.hpp"
#include "lib/kube/rollout_progress.hpp"

namespace codops::kube {
namespace {

using State = Verdict::State;

// A refusal to make pods at all has no pod to show it: the ReplicaSet's condition, or events on what makes the pods.
std::vector<Finding> refusals(const Observation& observed, const Object* revision, const Graces& graces) {
  std::vector<Finding> found;
  const auto refused = [&](const Object& by, const std::string& message) {
    Finding finding;
    finding.key = by.uid() + "//create";
    finding.grace = graces.create;
    finding.trouble = {"FailedCreate", fmt::format("{} can't make pods: {}", by.ref().text(), message), message.find("exceeded quota") == std::string::npos
                           ? "the message names the quota, policy or webhook that refuses them"
                           : "raise the quota, or let an old pod go before a new one is ready, in the manifest: strategy: {rollingUpdate: {maxUnavailable: 1}}",
                       by.ref(), {},
                       {{Evidence::Kind::events, by.ref(), {}}}};
    if (by.uid() != observed.workload.uid()) finding.trouble.evidence.push_back({Evidence::Kind::events, observed.workload.ref(), {}});
    found.push_back(std::move(finding));
  };
  for (const auto* object : {&observed.workload, revision}) {
    if (!object || !found.empty()) continue;
    if (const auto* failure = condition_of(object->json(), "ReplicaFailure"); failure && text_in(*failure, "/status") == "True") refused(revision && revision->kind() == "ReplicaSet" ? *revision : *object, text_in(*failure, "/message"));
  }
  // StatefulSets, DaemonSets and Jobs say it by an event only, which stays for an hour: newer than the rollout it has to be.
  if (!found.empty() || observed.workload.kind() == "Deployment") return found;
  std::string newest, message;
  for (const auto& object : observed.events) {
    const auto event = event_of(object);
    if (event.reason != "FailedCreate" || event.uid != observed.workload.uid() || event.last < newest) continue;
    const auto time = parse_rfc3339(event.last);
    if (observed.since && time && *time + Milliseconds{1000} < *observed.since) continue;
    newest = event.last;
    message = event.message;
  }
  if (!message.empty()) refused(observed.workload, message);
  return found;
}

Verdict failed(Trouble trouble) {
  Verdict verdict;
  verdict.state = State::failed;
  verdict.text = trouble.reason;
  verdict.trouble = std::move(trouble);
  return verdict;
}

Trouble of_workload(const Observation& observed, std::string reason, std::string message, std::string hint) {
  const auto ref = observed.workload.ref();
  return {std::move(reason), std::move(message), std::move(hint), ref, {}, {{Evidence::Kind::events, ref, {}}}};
}

// What the controller itself gave up on, told with what its pods show.
Trouble given_up(const Observation& observed, const std::vector<Object>& pods, std::string reason, std::string message, const std::vector<Finding>& findings) {
  auto trouble = of_workload(observed, std::move(reason), std::move(message), "");
  if (!findings.empty()) {
    const auto& cause = findings.front().trouble;
    trouble.message += "; " + cause.message;
    trouble.hint = cause.hint;
    trouble.object = cause.object;
    trouble.container = cause.container;
    trouble.evidence.insert(trouble.evidence.end(), cause.evidence.begin(), cause.evidence.end());
    return trouble;
  }
  for (const auto& pod : pods) {
    const auto view = view_of(pod);
    const auto words = not_ready_words(pod, observed.events);
    if (words.empty() || view.terminating) continue;
    trouble.message += fmt::format("; pod {} {}", pod.name(), words);
    trouble.object = pod.ref();
    trouble.evidence.push_back({Evidence::Kind::events, pod.ref(), {}});
    for (const auto& container : view.containers) {
      if (container.ready || (container.init && container.ended && container.ended->exit_code == 0)) continue;
      if (trouble.container.empty()) trouble.container = container.name;
      if (container.last) trouble.evidence.push_back({Evidence::Kind::previous_logs, pod.ref(), container.name});
      if (container.running || container.ended) trouble.evidence.push_back({Evidence::Kind::logs, pod.ref(), container.name});
    }
    break;
  }
  return trouble;
}

std::string first_not_ready(const std::vector<Object>& pods, const std::vector<Object>& events) {
  for (const auto& pod : pods) {
    if (auto words = not_ready_words(pod, events); !words.empty()) return fmt::format("{} {}", pod.name(), words);
  }
  return {};
}

// Pods that ended for good (evicted, refused by the kubelet) are replaced, again and again.
std::optional<Trouble> pods_that_fail(const Observation& observed, const std::vector<Object>& pods, int limit) {
  const Object* last = nullptr;
  int count = 0;
  for (const auto& pod : pods) {
    if (view_of(pod).phase != "Failed") continue;
    ++count;
    last = &pod;
  }
  if (count < limit) return std::nullopt;
  const auto view = view_of(*last);
  auto trouble = of_workload(observed, view.reason.empty() ? "PodFailed" : view.reason, fmt::format("{} pods failed, the last one {}: {}", count, view.name, not_ready_words(*last, observed.events)), "");
  trouble.object = last->ref();
  trouble.evidence.push_back({Evidence::Kind::events, last->ref(), {}});
  return trouble;
}

}  // namespace

Deadline::TimePoint RolloutMemory::since(const std::string& what, Deadline::TimePoint now) { return since_.emplace(what, now).first->second; }

void RolloutMemory::keep_only(const std::vector<std::string>& seen, const std::string& prefix) {
  for (auto at = since_.lower_bound(prefix); at != since_.end() && at->first.starts_with(prefix);) {
    at = std::find(seen.begin(), seen.end(), at->first) == seen.end() ? since_.erase(at) : std::next(at);
  }
}

bool is_crash(const Trouble& trouble) { return trouble.reason == "CrashLoopBackOff" || trouble.reason == "Restarting"; }

std::optional<std::size_t> may_wait_for(const std::vector<Verdict>& verdicts, std::size_t failed) {
  const auto& one = verdicts.at(failed);
  if (one.state != State::failed || !one.trouble || !is_crash(*one.trouble)) return std::nullopt;
  for (std::size_t index = 0; index < verdicts.size(); ++index) {
    const auto& other = verdicts[index];
    // Two that crash don't wait for each other.
    if (index != failed && other.state == State::waiting && !(other.trouble && is_crash(*other.trouble))) return index;
  }
  return std::nullopt;
}

void RolloutMemory::not_before(Deadline::TimePoint time) {
  for (auto& [what, since] : since_) since = std::max(since, time);
}

Verdict judge(const Observation& observed, const Graces& graces, RolloutMemory& memory, Deadline::TimePoint now, WallTime wall) {
  const auto& workload = observed.workload;
  if (workload.empty()) {
    Verdict verdict;
    verdict.state = State::failed;
    verdict.text = "deleted";
    verdict.trouble = Trouble{"Deleted", "the object was deleted while its rollout was watched", "somebody else works on this namespace", {}, {}, {}};
    return verdict;
  }
  if (!text_in(workload.json(), "/metadata/deletionTimestamp").empty() && !has_succeeded(workload))
    return failed(of_workload(observed, "Deleted", fmt::format("{} is being deleted while its rollout is watched", workload.ref().text()), "somebody else works on this namespace"));
  if (const auto why = why_paused(workload); !why.empty()) return failed(of_workload(observed, "Paused", fmt::format("{} {}", workload.ref().text(), why), ""));

  const auto progress = progress_of(observed, wall);
  Verdict verdict;
  verdict.text = progress.text;
  if (progress.stale) return verdict;
  if (progress.done) {
    verdict.state = State::done;
    return verdict;
  }

  const auto pods = new_pods(observed);
  const bool job = workload.kind() == "Job";
  std::vector<Finding> findings = refusals(observed, current_revision(observed), graces);
  for (const auto& pod : pods) {
    for (auto& finding : findings_of(pod, observed, graces, {job})) findings.push_back(std::move(finding));
  }
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) { return a.grace < b.grace; });

  if (!progress.failure.empty()) return failed(given_up(observed, pods, progress.failure, fmt::format("{} {}", workload.ref().text(), progress.failure_text), findings));
  if (!job) {
    if (auto trouble = pods_that_fail(observed, pods, graces.restarts)) return failed(std::move(*trouble));
  }

  const auto prefix = workload.ref().text() + "|";
  std::vector<std::string> seen;
  const Finding* worst = nullptr;
  auto worst_end = Deadline::TimePoint::max();
  for (const auto& finding : findings) {
    seen.push_back(prefix + finding.key);
    const auto end = memory.since(seen.back(), now) + finding.grace;
    if (end < worst_end) worst_end = end, worst = &finding;
  }
  memory.keep_only(seen, prefix);
  if (worst && worst_end <= now) {
    auto trouble = worst->trouble;
    trouble.evidence.push_back({Evidence::Kind::events, workload.ref(), {}});
    return failed(std::move(trouble));
  }
  if (worst) {
    verdict.trouble = worst->trouble;
    verdict.next = worst_end;
    verdict.text += fmt::format("; {}", worst->trouble.message);
  } else if (const auto stuck = stuck_pods(observed); !stuck.empty()) {
    verdict.text += fmt::format("; waits for the old pod {}, which is not ready", stuck.front().name());
  } else if (auto words = first_not_ready(pods, observed.events); !words.empty()) {
    verdict.text += fmt::format("; {}", words);
  }
  return verdict;
}

}  // namespace codops::kube
