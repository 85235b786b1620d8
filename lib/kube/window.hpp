#pragma once
// The monitor window: old pods stay until new ones were ready for that long, so that a version that crashes after it became ready is
// rolled back while the old ones serve.
//
// The fields are applied under a manager of their own and dropped at the end of the window (apply `patch` before the release's own apply, then `release`
// after the window, and in every rollback and recovery): the release's own fields never contain them, a diff under codops' name shows nothing, and what the
// manifest says is what stays.
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/kube/object.hpp"

namespace codops::kube {

inline constexpr const char* window_manager = "codops-window";

struct Window {
  Ref ref;
  Object patch;    // for server-side apply as `window_manager`, with force
  Object release;  // the same with no fields: drops them
  std::string text;  // for the plan: "minReadySeconds 10, maxUnavailable 0 while the new pods are watched"
};
// nullopt: not a Deployment, StatefulSet or DaemonSet, a monitor of zero, or the manifest sets what matters itself (then `note` says what that means).
std::optional<Window> window_for(const Object& desired, Milliseconds monitor, std::string* note = nullptr);
// True when an earlier run left its window behind.
bool has_window(const Object& live);
// The fields of `release` for it.
Object window_release(const Object& live);

struct Advice {
  Ref ref;
  text::Position at;
  std::string what;                // 'container "web" has no readinessProbe: requests reach it before it can answer'
  std::vector<std::string> lines;  // YAML to add
};
// What makes a rollout lose requests. `all`: the whole desired state (PodDisruptionBudgets, Services, HorizontalPodAutoscalers).
std::vector<Advice> advise(const std::vector<Object>& all);

// Workloads that an autoscaler of the set or of the cluster scales: spec.replicas is its business (k8s#25238) and is taken out of
// `desired`, except where `manager` alone owns the field in `live`: dropping it there would set it to 1, so it keeps the live
// count. Returns them, for the plan.
std::vector<Ref> drop_scaled_replicas(std::vector<Object>& desired, const std::vector<Object>& live, const std::vector<Object>& live_autoscalers, const std::string& manager);

// One of `autoscalers` scales it.
bool is_autoscaled(const Object& workload, const std::vector<Object>& autoscalers);

}  // namespace codops::kube
