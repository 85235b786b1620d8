#include "lib/kube/rollout_pods.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/kube/obstacle.hpp"
#include "lib/kube/pod_view.hpp"

namespace codops::kube {
namespace {

// Where a container that waits is stuck, by the kubelet's reason.
struct WaitingRule {
  std::string_view reason;
  Milliseconds Graces::*grace;  // null: at once
  std::string_view hint;
};

constexpr std::string_view retried_hint = "the kubelet went on trying: is the node well, and has the API server been back for long?";
constexpr std::string_view pull_hint = "is that version pushed, and may the cluster pull it (imagePullSecrets)?";
constexpr std::array waiting_rules{
    WaitingRule{"InvalidImageName", nullptr, "correct the image's name"},
    WaitingRule{"ErrImageNeverPull", nullptr, "imagePullPolicy: Never needs the image on every node that may run it"},
    WaitingRule{"ImagePullBackOff", &Graces::image, pull_hint},
    WaitingRule{"ErrImagePull", &Graces::image, pull_hint},
    WaitingRule{"RegistryUnavailable", &Graces::image, pull_hint},
    WaitingRule{"ImageInspectError", &Graces::image, pull_hint},
    WaitingRule{"SignatureValidationFailed", nullptr, "the cluster's policy refuses this image's signature"},
    WaitingRule{"CreateContainerConfigError", &Graces::config, "create what is missing, or correct the name in the manifest"},
    WaitingRule{"CreateContainerError", &Graces::config, ""},
    WaitingRule{"RunContainerError", &Graces::config, "does the image have that command?"},
};

Ref pod_ref(const Object& pod) { return {"", "Pod", pod.namespace_(), pod.name()}; }

std::vector<Evidence> pod_evidence(const Object& pod, const ContainerView& container) {
  std::vector<Evidence> evidence{{Evidence::Kind::events, pod_ref(pod), {}}};
  if (container.last) evidence.push_back({Evidence::Kind::previous_logs, pod_ref(pod), container.name});
  if (container.running || container.ended || container.last) evidence.push_back({Evidence::Kind::logs, pod_ref(pod), container.name});
  return evidence;
}

std::string container_words(const Object& pod, const ContainerView& container) {
  return fmt::format("{} \"{}\" of pod {}", container.init && !container.sidecar ? "init container" : "container", container.name, pod.name());
}

Finding finding(const Object& pod, const ContainerView& container, std::string_view group, Milliseconds grace, std::string reason, std::string message, std::string hint) {
  return {fmt::format("{}/{}/{}", pod.uid(), container.name, group), grace,
          {std::move(reason), std::move(message), std::move(hint), pod_ref(pod), container.name, pod_evidence(pod, container)}};
}

std::string image_in(const Object& pod, const std::string& container) {
  for (const auto* list : {"/spec/containers", "/spec/initContainers"}) {
    const nlohmann::json::json_pointer at{list};
    if (!pod.json().contains(at)) continue;
    for (const auto& one : pod.json().at(at)) {
      if (text_in(one, "/name") == container) return text_in(one, "/image");
    }
  }
  return {};
}

std::optional<Finding> waits(const Object& pod, const ContainerView& container, const Graces& graces) {
  for (const auto& rule : waiting_rules) {
    if (rule.reason != container.waiting) continue;
    const bool image = rule.grace == &Graces::image || rule.reason.starts_with("Invalid") || rule.reason == "ErrImageNeverPull";
    const bool passing = rule.grace == &Graces::config && obstacle_of(container.waiting_message) == Obstacle::passing;
    // ErrImagePull and ImagePullBackOff take turns: one state.
    const auto group = rule.grace == &Graces::image ? std::string{"image"} : fmt::format("{}{}", rule.reason, passing ? "/passing" : "");
    std::string message = container_words(pod, container);
    if (image) {
      message += fmt::format(" can't have its image \"{}\"", image_in(pod, container.name));
    } else {
      message += " can't be started";
    }
    if (!container.waiting_message.empty()) message += ": " + container.waiting_message;
    const auto grace = passing ? graces.volume : rule.grace ? graces.*rule.grace : Milliseconds{0};
    return finding(pod, container, group, grace, container.waiting, std::move(message), std::string{passing ? retried_hint : rule.hint});
  }
  return std::nullopt;
}

// A pod that was there before this rollout began (nothing of its template changed) has a past that says nothing of it.
bool is_of_this_rollout(const Object& pod, const Observation& observed) {
  const auto created = parse_rfc3339(text_in(pod.json(), "/metadata/creationTimestamp"));
  // The server's stamps have whole seconds.
  return !observed.since || !created || *created + Milliseconds{1000} >= *observed.since;
}

std::optional<Finding> crashes(const Object& pod, const ContainerView& container, const Observation& observed, const Graces& graces) {
  const auto& end = container.ended ? container.ended : container.last;
  const auto limit = memory_limit_of(pod, container.name);
  const auto times = container.restarts > 0 ? fmt::format(", {} times", container.restarts + (container.running ? 0 : 1)) : std::string{};
  const auto message = [&] {
    return fmt::format("{} {}{}", container_words(pod, container), end ? ended_words(*end, limit) : std::string{"crashes"}, times);
  };
  const bool young = is_of_this_rollout(pod, observed);
  const auto began = end && observed.crashes_since ? parse_rfc3339(end->began) : std::nullopt;
  const bool waited = began && *began < *observed.crashes_since;
  if (end && end->reason == "OOMKilled" && (young || !container.ready))
    return finding(pod, container, "oom", Milliseconds{0}, "OOMKilled", message(), limit.empty() ? "the node ran out of memory: set resources.requests.memory" : fmt::format("raise resources.limits.memory (now {})", limit));
  if (waited) return std::nullopt;
  if (container.waiting == "CrashLoopBackOff") return finding(pod, container, "crash", graces.crash, "CrashLoopBackOff", message(), "its last log lines say why");
  if (young && container.restarts >= graces.restarts && end && (end->exit_code != 0 || container.restarts > graces.restarts))
    return finding(pod, container, "crash", Milliseconds{0}, "Restarting", message(), "its last log lines say why; a liveness probe that fails restarts it too");
  return std::nullopt;
}

// Events stay when what they tell of is over: what came after the volumes and the sandbox says so.
bool has_begun(const Object& pod, const PodView& view, const std::vector<EventView>& events, const std::string& failed_at) {
  const auto ran = [](const ContainerView& one) { return one.running || one.ended || one.last; };
  if (std::any_of(view.containers.begin(), view.containers.end(), ran)) return true;
  if (const auto* ready = condition_of(pod.json(), "PodReadyToStartContainers"); ready && text_in(*ready, "/status") == "True") return true;
  return std::any_of(events.begin(), events.end(), [&](const EventView& event) {
    return (event.reason == "Pulling" || event.reason == "Pulled" || event.reason == "Created") && event.last >= failed_at;
  });
}

constexpr std::array begin_reasons{"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"};

// All of these the kubelet tries again by itself. What is missing and what may pass count apart: the one must not use up the other's grace.
std::vector<Finding> cannot_begin(const Object& pod, const PodView& view, const Observation& observed, const Graces& graces) {
  const bool creating = std::any_of(view.containers.begin(), view.containers.end(), [](const ContainerView& one) {
    return one.waiting == "ContainerCreating" || one.waiting == "PodInitializing";
  });
  if (!creating) return {};
  std::vector<EventView> events;
  for (const auto& object : observed.events) {
    if (auto event = event_of(object); event.uid == pod.uid()) events.push_back(std::move(event));
  }
  const EventView* newest[2]{};  // of what may pass, of what is missing
  for (const auto& event : events) {
    if (std::find(begin_reasons.begin(), begin_reasons.end(), event.reason) == begin_reasons.end()) continue;
    auto& one = newest[obstacle_of(event.message) == Obstacle::missing];
    if (!one || one->last < event.last) one = &event;
  }
  std::vector<Finding> found;
  for (const bool missing : {true, false}) {
    const auto* event = newest[missing];
    if (!event || has_begun(pod, view, events, event->last)) continue;
    found.push_back({fmt::format("{}//{}", pod.uid(), missing ? "missing" : "begin"), missing ? graces.config : graces.volume,
                     {event->reason, fmt::format("pod {} can't begin: {}", pod.name(), event->message),
                      std::string{missing ? "create what is missing, or correct the name in the manifest" : retried_hint}, pod_ref(pod), {}, {{Evidence::Kind::events, pod_ref(pod), {}}}}});
  }
  return found;
}

}  // namespace

std::vector<Finding> findings_of(const Object& pod, const Observation& observed, const Graces& graces, const PodRules& rules) {
  std::vector<Finding> found;
  const auto view = view_of(pod);
  if (view.terminating) return found;
  if (!view.unschedulable.empty()) {
    found.push_back({fmt::format("{}//unschedulable", pod.uid()), graces.unschedulable,
                     {"Unschedulable", fmt::format("pod {} finds no node: {}", view.name, view.unschedulable), "lower resources.requests, or give the cluster another node", pod_ref(pod), {},
                      {{Evidence::Kind::events, pod_ref(pod), {}}}}});
  }
  for (const auto& container : view.containers) {
    if (auto finding = waits(pod, container, graces)) {
      found.push_back(std::move(*finding));
    } else if (!rules.job) {
      if (auto crash = crashes(pod, container, observed, graces)) found.push_back(std::move(*crash));
    }
  }
  if (found.empty()) {
    found = cannot_begin(pod, view, observed, graces);
  }
  std::stable_sort(found.begin(), found.end(), [](const Finding& a, const Finding& b) { return a.grace < b.grace; });
  return found;
}

std::string not_ready_words(const Object& pod, const std::vector<Object>& events) {
  const auto view = view_of(pod);
  if (view.ready) return {};
  if (view.terminating) return "is terminating";
  if (!view.unschedulable.empty()) return "finds no node: " + view.unschedulable;
  if (view.phase == "Failed") return view.message.empty() ? fmt::format("failed{}", view.reason.empty() ? "" : ": " + view.reason) : fmt::format("failed: {}", view.message);
  if (view.containers.empty()) return view.phase == "Pending" ? "waits for a node" : "";
  for (const auto& container : view.containers) {
    const auto who = fmt::format("{} \"{}\"", container.init && !container.sidecar ? "init container" : "container", container.name);
    if (container.init && !container.sidecar && container.ended && container.ended->exit_code == 0) continue;
    if (container.waiting == "CrashLoopBackOff" && container.last)
      return fmt::format("{} {}, {} times", who, ended_words(*container.last, memory_limit_of(pod, container.name)), container.restarts + 1);
    if (container.waiting == "PodInitializing" || container.waiting == "ContainerCreating") {
      std::string newest, message;
      for (const auto& object : events) {
        const auto event = event_of(object);
        if (event.uid == pod.uid() && event.type == "Warning" && event.last >= newest) newest = event.last, message = event.message;
      }
      return message.empty() ? (container.waiting == "ContainerCreating" ? "is being created" : "waits for its init containers") : message;
    }
    if (!container.waiting.empty()) return fmt::format("{}: {}{}", who, container.waiting, container.waiting_message.empty() ? "" : ": " + container.waiting_message);
    if (container.ended) return fmt::format("{} {}", who, ended_words(*container.ended, memory_limit_of(pod, container.name)));
    if (container.init && !container.sidecar && container.running) return fmt::format("{} runs", who);
    if (!container.ready && container.running) {
      // What its probe saw, if the kubelet said so.
      std::string newest, message;
      for (const auto& object : events) {
        const auto event = event_of(object);
        if (event.uid == pod.uid() && event.reason == "Unhealthy" && event.last >= newest) newest = event.last, message = event.message;
      }
      if (!message.empty()) return fmt::format("{} is not ready: {}", who, message);
      if (container.last) return fmt::format("{} is not ready; before it {}", who, ended_words(*container.last, memory_limit_of(pod, container.name)));
      return fmt::format("{} is not ready yet", who);
    }
  }
  for (const auto* gate : {"ContainersReady", "Ready"}) {
    if (const auto* condition = condition_of(pod.json(), gate); condition && text_in(*condition, "/status") == "False" && !text_in(*condition, "/message").empty())
      return text_in(*condition, "/message");
  }
  return "is not ready yet";
}

}  // namespace codops::kube
