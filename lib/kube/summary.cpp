#include "lib/kube/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/ascii.hpp"
#include "lib/kube/pod_view.hpp"
#include "lib/kube/rollout_pods.hpp"
#include "lib/kube/rollout_progress.hpp"

namespace codops::kube {
namespace {

// kubectl's STATUS column: the first init container that is not through, else the last container that says something, else the phase.
std::string state_of(const PodView& view) {
  std::string state = view.reason.empty() ? view.phase : view.reason;
  int through = 0, inits = 0;
  bool initialising = false;
  for (const auto& container : view.containers) {
    if (!container.init) continue;
    ++inits;
    const bool done = (container.ended && container.ended->exit_code == 0) || (container.sidecar && container.started);
    if (done) {
      ++through;
      continue;
    }
    if (initialising) continue;
    initialising = true;
    if (container.ended) {
      state = "Init:" + (container.ended->reason.empty() ? fmt::format("ExitCode:{}", container.ended->exit_code) : container.ended->reason);
    } else if (!container.waiting.empty() && container.waiting != "PodInitializing") {
      state = "Init:" + container.waiting;
    } else {
      state.clear();
    }
  }
  if (initialising && state.empty()) state = fmt::format("Init:{}/{}", through, inits);
  if (!initialising) {
    bool running = false;
    for (auto container = view.containers.rbegin(); container != view.containers.rend(); ++container) {
      if (container->init) continue;
      if (!container->waiting.empty()) {
        state = container->waiting;
      } else if (container->ended) {
        state = !container->ended->reason.empty() ? container->ended->reason : container->ended->signal ? fmt::format("Signal:{}", container->ended->signal) : fmt::format("ExitCode:{}", container->ended->exit_code);
      } else if (container->ready && container->running) {
        running = true;
      }
    }
    if (state == "Completed" && running) state = view.ready ? "Running" : "NotReady";
  }
  return view.terminating ? "Terminating" : state;
}

std::vector<std::string> images_in(const Object& workload) {
  std::vector<std::string> images;
  const auto pointer = pod_spec_pointer(workload);
  if (pointer.empty()) return images;
  const nlohmann::json::json_pointer at{pointer + "/containers"};
  if (!workload.json().contains(at) || !workload.json().at(at).is_array()) return images;
  auto containers = workload.json().at(at);
  // The one that people mean comes first.
  const auto main = main_container(containers, workload.json().value("/spec/template/metadata/annotations"_json_pointer, nlohmann::json::object()));
  if (main > 0) std::swap(containers[0], containers[main]);
  for (const auto& container : containers) {
    auto image = text_in(container, "/image");
    if (std::find(images.begin(), images.end(), image) == images.end()) images.push_back(std::move(image));
  }
  return images;
}

// All pods of a workload, whatever their revision.
std::vector<const Object*> pods_of(const Observation& observed) {
  std::vector<std::string> owners{observed.workload.uid()};
  for (const auto& child : observed.children) {
    if (controller_of(child) == observed.workload.uid()) owners.push_back(child.uid());
  }
  std::vector<const Object*> pods;
  for (const auto& pod : observed.pods) {
    const auto owner = controller_of(pod);
    if (!owner.empty() && std::find(owners.begin(), owners.end(), owner) != owners.end()) pods.push_back(&pod);
  }
  return pods;
}

void count(const Object& workload, WorkloadSummary& summary) {
  const auto& json = workload.json();
  const auto number = [&](const char* pointer, std::int64_t otherwise = 0) { return static_cast<int>(number_in(json, pointer, otherwise)); };
  const auto kind = workload.kind();
  if (kind == "DaemonSet") {
    summary.desired = number("/status/desiredNumberScheduled");
    summary.ready = number("/status/numberReady");
    summary.updated = number("/status/updatedNumberScheduled");
    summary.available = number("/status/numberAvailable");
  } else if (kind == "Job") {
    summary.desired = number("/spec/completions", 1);
    summary.ready = summary.updated = summary.available = number("/status/succeeded");
  } else {
    summary.desired = number("/spec/replicas", 1);
    summary.ready = number("/status/readyReplicas");
    summary.updated = number("/status/updatedReplicas");
    summary.available = number("/status/availableReplicas");
  }
}

// Conditions of the workload itself that say why there are not enough pods.
void own_reasons(const Observation& observed, WorkloadSummary& summary) {
  const auto& json = observed.workload.json();
  for (const auto& [type, bad] : {std::pair{"ReplicaFailure", "True"}, std::pair{"Progressing", "False"}, std::pair{"Failed", "True"}}) {
    if (const auto* condition = condition_of(json, type); condition && text_in(*condition, "/status") == bad)
      summary.why.push_back(fmt::format("{}: {}", text_in(*condition, "/reason"), text_in(*condition, "/message")));
  }
  if (summary.paused) summary.why.push_back(observed.workload.ref().text() + " " + why_paused(observed.workload));
}

}  // namespace

PodSummary summarise_pod(const Object& pod, const std::vector<Object>& events) {
  const auto view = view_of(pod);
  PodSummary summary;
  summary.name = view.name;
  summary.namespace_ = pod.namespace_();
  summary.state = state_of(view);
  summary.ready = view.ready;
  summary.node = text_in(pod.json(), "/spec/nodeName");
  summary.ip = text_in(pod.json(), "/status/podIP");
  summary.started = text_in(pod.json(), "/status/startTime");
  for (const auto& container : view.containers) {
    if (container.init && !container.sidecar) continue;
    ++summary.containers;
    summary.ready_containers += container.ready ? 1 : 0;
    summary.restarts += container.restarts;
  }
  const bool finished = view.phase == "Succeeded";
  if (!finished) summary.why = not_ready_words(pod, events);
  summary.healthy = finished || (view.ready && !view.terminating);
  return summary;
}

WorkloadSummary summarise(const Observation& observed, WallTime wall) {
  WorkloadSummary summary;
  const auto& workload = observed.workload;
  summary.ref = workload.ref();
  summary.images = images_in(workload);
  summary.since = text_in(workload.json(), "/metadata/creationTimestamp");
  if (const auto* revision = current_revision(observed)) summary.since = text_in(revision->json(), "/metadata/creationTimestamp");
  summary.paused = !why_paused(workload).empty();
  count(workload, summary);
  const auto progress = progress_of(observed, wall);
  summary.healthy = progress.done && progress.failure.empty() && summary.ready >= summary.desired;
  for (const auto* pod : pods_of(observed)) summary.pods.push_back(summarise_pod(*pod, observed.events));
  std::stable_sort(summary.pods.begin(), summary.pods.end(), [](const PodSummary& a, const PodSummary& b) { return a.healthy < b.healthy; });
  own_reasons(observed, summary);
  for (const auto& pod : summary.pods) {
    if (!pod.healthy && !pod.why.empty() && pod.state != "Terminating") summary.why.push_back(fmt::format("{} {}", pod.name, pod.why));
  }
  if (!summary.healthy && summary.why.empty() && !progress.text.empty()) summary.why.push_back(progress.text);
  return summary;
}

void count_by_release(WorkloadSummary& summary, int wanted) {
  if (summary.desired >= wanted) return;
  summary.why.insert(summary.why.begin(), fmt::format("it was scaled to {}, the release has {}", summary.desired, wanted));
  summary.desired = wanted;
  summary.healthy = false;
}

std::string short_kind(std::string_view kind) { return ascii_lower(kind); }

}  // namespace codops::kube
