#include "lib/ops/kubernetes/status.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/parallel.hpp"
#include "lib/kube/drift.hpp"
#include "lib/kube/job_end.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/drift.hpp"
#include "lib/ops/kubernetes/job.hpp"
#include "lib/ops/kubernetes/release_secrets.hpp"
#include "lib/ops/kubernetes/services.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops::kubernetes {
namespace {

// What summaries are made of, per namespace.
struct Surroundings {
  std::vector<kube::Object> workloads, children, pods;
};

void ask_around(Questions& questions, const std::string& namespace_, const std::set<std::string>& kinds, Surroundings& seen) {
  questions.list("v1", "Pod", namespace_, {}, into(seen.pods));
  for (const auto* kind : {"Deployment", "StatefulSet", "DaemonSet"}) {
    if (kinds.contains(kind)) questions.list("apps/v1", kind, namespace_, {}, into(seen.workloads));
  }
  if (kinds.contains("Job")) questions.list("batch/v1", "Job", namespace_, {}, into(seen.workloads));
  if (kinds.contains("Deployment")) questions.list("apps/v1", "ReplicaSet", namespace_, {}, into(seen.children));
  if (kinds.contains("StatefulSet") || kinds.contains("DaemonSet")) questions.list("apps/v1", "ControllerRevision", namespace_, {}, into(seen.children));
}

kube::Observation observation_of(const kube::Object& workload, const Surroundings& seen) {
  kube::Observation observed;
  observed.workload = workload;
  observed.generation = workload.generation();
  observed.children = seen.children;
  observed.pods = seen.pods;
  return observed;
}

std::string unfinished_text(const plan::Record& record) {
  const auto plan = record.plan();
  if (!plan) return "a run that left no readable plan";
  const auto last = record.last_begun(*plan);
  return fmt::format("{} {} (release {}) {}", plan->verb, plan->version, plan->release, last ? "is at or died at step " + plan->steps[*last].name : "died before it changed anything");
}

const kube::Object* found_in(const std::vector<kube::Object>& objects, const kube::Ref& ref) {
  const auto found = std::find_if(objects.begin(), objects.end(), [&](const auto& one) { return one.ref() == ref; });
  return found == objects.end() ? nullptr : &*found;
}

std::vector<std::string> names_of_abandoned(Cluster& cluster, const Limits& limits) {
  std::vector<std::string> names;
  try {
    for (const auto& job : abandoned_runs(cluster, limits)) names.push_back(fmt::format("{}/{}", job.namespace_(), job.name()));
  } catch (const k8s::ApiError& error) {
    if (error.status() != 403) throw;  // who may not list Jobs runs none
  }
  return names;
}

// By hand, beside the number of its replicas.
std::vector<std::string> changes_of(const kube::Object& on_record, const kube::Object& live) {
  auto lines = kube::pod_drift(on_record, live);
  for (auto& line : kube::added_variables(on_record, live)) lines.push_back(std::move(line));
  // What the release's own manifest says is no drift.
  if (kube::refuse_early({on_record}).empty() && !kube::refuse_early({live}).empty()) lines.emplace_back("was paused by hand");
  return lines;
}

// What probes and events said is quoted: without secrets.
void hide_secrets(Cluster& cluster, const std::vector<kube::Object>& objects, std::vector<kube::WorkloadSummary>& summaries, const Limits& limits) {
  const bool silent = std::all_of(summaries.begin(), summaries.end(), [](const auto& summary) {
    return summary.why.empty() && std::all_of(summary.pods.begin(), summary.pods.end(), [](const auto& pod) { return pod.why.empty(); });
  });
  if (silent) return;
  const auto secrets = secrets_with_live(cluster, by_key(objects), limits);
  for (auto& summary : summaries) {
    for (auto& line : summary.why) line = secrets.hide(line);
    for (auto& pod : summary.pods) pod.why = secrets.hide(pod.why);
  }
}

// What the release has, beside what there is of it.
void compare(Cluster& cluster, const std::vector<kube::Object>& objects, Status& status, const Limits& limits) {
  std::map<std::string, std::set<std::string>> kinds;
  for (const auto& object : objects) {
    if (kube::is_workload(object)) kinds[object.namespace_()].insert(object.kind());
  }
  std::map<std::string, Surroundings> around;
  std::vector<kube::Object> data;
  std::vector<std::string> others;
  SeenServices services;
  Questions questions{cluster, limits};
  for (const auto& [namespace_, wanted] : kinds) ask_around(questions, namespace_, wanted, around[namespace_]);
  ask_about_data(questions, cluster, objects, data);
  ask_about_services(questions, objects, services);
  ask_about_others(questions, cluster, objects, others, limits);
  questions.answer();

  ReplicaDrift replicas{cluster, *status.release, limits};
  for (const auto& object : objects) {
    if (!kube::is_workload(object)) continue;
    const auto& seen = around.at(object.namespace_());
    const auto* live = found_in(seen.workloads, object.ref());
    if (live == nullptr && kube::tidies_itself_up(object)) {
      // Its release serves, so it had succeeded.
      status.workloads.push_back(kube::summary_of_tidied(object));
      continue;
    }
    if (live == nullptr) {
      status.drift.push_back(fmt::format("{} was removed", object.ref().text()));
      kube::WorkloadSummary gone;
      gone.ref = object.ref();
      gone.why.push_back("it was removed");
      status.workloads.push_back(std::move(gone));
      continue;
    }
    auto summary = kube::summarise(observation_of(*live, seen), status.now);
    if (auto line = replicas.of(object, *live, summary); !line.empty()) status.drift.push_back(std::move(line));
    status.workloads.push_back(std::move(summary));
    for (const auto& line : changes_of(object, *live)) status.drift.push_back(fmt::format("{}: {}", object.ref().text(), line));
  }
  hide_secrets(cluster, objects, status.workloads, limits);
  for (auto& line : drift_of_data(cluster, objects, data, limits)) status.drift.push_back(std::move(line));
  for (auto& line : others) {
    if (!line.empty()) status.drift.push_back(std::move(line));
  }
  for (const auto& service : service_states(objects, status.workloads, services)) {
    if (!service.why.empty()) status.unreached.push_back(fmt::format("{}: {}", service.ref.text(), service.why));
    if (!service.exists) status.drift.push_back(fmt::format("{} was removed", service.ref.text()));
    for (const auto& line : service.drift) status.drift.push_back(fmt::format("{}: {}", service.ref.text(), line));
  }
}

}  // namespace

bool Status::healthy() const {
  if (unknown || !unreached.empty()) return false;
  return release.has_value() && !unfinished && std::all_of(workloads.begin(), workloads.end(), [](const auto& workload) { return workload.healthy; });
}

Status status_of(Cluster& cluster, const Limits& limits) {
  Status status;
  status.environment = cluster.environment().name;
  status.engine = cluster.shown();
  release::Snapshot snapshot;
  std::optional<target::LockState> holder;
  in_parallel({[&] { snapshot = cluster.store().load(limits); },
               [&] { holder = cluster.lock("deploy")->inspect(limits); },
               [&] { status.abandoned = names_of_abandoned(cluster, limits); }});
  cluster.require_owner(snapshot);
  status.damaged = snapshot.damaged;
  for (auto entry = snapshot.history.rbegin(); entry != snapshot.history.rend() && !status.last; ++entry) {
    if (entry->result == "ok") status.last = *entry;
  }
  if (const auto* record = snapshot.unfinished()) status.unfinished = unfinished_text(*record);
  if (holder && release::judge(*holder, release::this_process({}), release::process_alive) == release::Verdict::fresh) status.running = release::describe(*holder);
  status.now = cluster.now();
  status.altered_history = release::broken_links(snapshot.history);
  const auto* current = snapshot.current();
  if (current == nullptr) return status;
  status.release = *current;
  std::vector<kube::Object> objects;
  try {
    objects = objects_of(cluster.store().load_specs(*current, limits));
  } catch (const Failure& failure) {
    if (failure.code() != Exit::data) throw;
    status.drift.push_back(failure.message());
    status.unknown = true;
  }
  compare(cluster, objects, status, limits);
  return status;
}

std::optional<kube::WorkloadSummary> workload_summary(Cluster& cluster, const std::string& name, const Observed& observed, const Limits& limits) {
  const auto bare = name.substr(name.find('/') == std::string::npos ? 0 : name.find('/') + 1);
  std::vector<k8s::ObjectRef> candidates;
  for (const auto& object : observed.current_objects) {
    if (kube::is_workload(object) && (object.name() == name || object.ref().text() == name)) candidates.push_back(ref_of(object));
  }
  if (candidates.empty()) {
    for (const auto& [api_version, kind] : {std::pair{"apps/v1", "Deployment"}, {"apps/v1", "StatefulSet"}, {"apps/v1", "DaemonSet"}, {"batch/v1", "Job"}}) {
      candidates.push_back({api_version, kind, cluster.namespace_(), bare});
    }
  }
  for (const auto& candidate : candidates) {
    auto found = cluster.api().find(candidate, limits);
    if (!found) continue;
    const kube::Object live{std::move(*found)};
    if (name != bare && live.ref().text() != name) continue;
    Surroundings seen;
    Questions questions{cluster, limits};
    ask_around(questions, live.namespace_(), {live.kind()}, seen);
    questions.answer();
    auto summary = kube::summarise(observation_of(live, seen), cluster.now());
    const auto* current = observed.snapshot.current();
    const auto* on_record = found_in(observed.current_objects, live.ref());
    if (current != nullptr && on_record != nullptr) ReplicaDrift{cluster, *current, limits}.of(*on_record, live, summary);
    std::vector<kube::WorkloadSummary> told{std::move(summary)};
    hide_secrets(cluster, observed.current_objects, told, limits);
    return told.front();
  }
  for (const auto& object : observed.current_objects) {
    if (kube::tidies_itself_up(object) && (object.name() == name || object.ref().text() == name)) return kube::summary_of_tidied(object);
  }
  return std::nullopt;
}

}  // namespace codops::ops::kubernetes
