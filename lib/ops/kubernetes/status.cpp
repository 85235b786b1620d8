#include "lib/ops/kubernetes/status.hpp"

#include <fmt/format.h>

#include <future>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/units.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/drift.hpp"
#include "lib/kube/pod_essence.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/job.hpp"
#include "lib/ops/kubernetes/observed.hpp"
#include "lib/ops/kubernetes/services.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops::kubernetes {
namespace {

// What summaries are made of, per namespace.
struct Surroundings {
  std::vector<kube::Object> workloads, children, pods, events;
  std::vector<kube::Object> data;  // ConfigMaps and Secrets of the set
};

std::vector<kube::Object> listed(k8s::Api& api, const char* api_version, const char* kind, const std::string& namespace_, const std::string& labels, const Limits& limits) {
  std::vector<kube::Object> found;
  api.list(api_version, kind, namespace_, {labels, {}}, [&](nlohmann::json&& json) {
    kube::Object object{std::move(json)};
    found.push_back(std::string_view{kind} == "Pod" ? kube::essence_of(object) : std::move(object));
  }, limits);
  return found;
}

void append(std::vector<kube::Object>& to, std::vector<kube::Object> more) { to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end())); }

Surroundings look_around(Cluster& cluster, const std::string& namespace_, const std::set<std::string>& kinds, const Limits& limits) {
  auto& api = cluster.api();
  Surroundings seen;
  // Several questions at once: the answer takes as long as the slowest.
  const auto ask = [&](const char* api_version, const char* kind, const std::string& labels = {}) {
    return std::async(std::launch::async, [&api, api_version, kind, labels, &namespace_, &limits] { return listed(api, api_version, kind, namespace_, labels, limits); });
  };
  auto pods = ask("v1", "Pod");
  std::vector<std::future<std::vector<kube::Object>>> workloads, children, data;
  for (const auto* kind : {"ConfigMap", "Secret"}) {
    if (kinds.contains(kind)) data.push_back(ask("v1", kind, std::string{kube::applyset_part_of} + "=" + cluster.set().id()));
  }
  for (const auto* kind : {"Deployment", "StatefulSet", "DaemonSet"}) {
    if (kinds.contains(kind)) workloads.push_back(ask("apps/v1", kind));
  }
  if (kinds.contains("Job")) workloads.push_back(ask("batch/v1", "Job"));
  if (kinds.contains("Deployment")) children.push_back(ask("apps/v1", "ReplicaSet"));
  if (kinds.contains("StatefulSet") || kinds.contains("DaemonSet")) children.push_back(ask("apps/v1", "ControllerRevision"));
  seen.pods = pods.get();
  for (auto& one : workloads) append(seen.workloads, one.get());
  for (auto& one : children) append(seen.children, one.get());
  for (auto& one : data) append(seen.data, one.get());
  return seen;
}

kube::Observation observation_of(const kube::Object& workload, const Surroundings& seen) {
  kube::Observation observed;
  observed.workload = workload;
  observed.generation = workload.generation();
  observed.children = seen.children;
  observed.pods = seen.pods;
  observed.events = seen.events;
  return observed;
}

std::string unfinished_text(const plan::Record& record) {
  const auto plan = record.plan();
  if (!plan) return "a run that left no readable plan";
  const auto last = record.last_begun(*plan);
  return fmt::format("{} {} (release {}) {}", plan->verb, plan->version, plan->release, last ? "is at or died at step " + plan->steps[*last].name : "died before it changed anything");
}

std::string health_word(const kube::WorkloadSummary& workload) {
  if (workload.healthy) return "healthy";
  if (workload.paused) return "paused";
  return workload.ready == 0 && workload.desired > 0 ? "down" : workload.ready < workload.desired ? "degraded" : "rolling";
}

std::string short_image(const std::string& image) {
  const auto parts = kube::parse_image(image);
  auto name = parts.repository;
  if (const auto slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  if (!parts.tag.empty()) name += ":" + parts.tag;
  if (!parts.digest.empty()) name += "  " + parts.digest.substr(parts.digest.find(':') + 1, 4) + "…";
  return name;
}

std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool holds_data(const kube::Object& object) { return object.group().empty() && (object.kind() == "ConfigMap" || object.kind() == "Secret"); }

bool is_autoscaled(Cluster& cluster, const kube::Object& workload, const Limits& limits) {
  bool found = false;
  cluster.api().list("autoscaling/v2", "HorizontalPodAutoscaler", workload.namespace_(), {}, [&](nlohmann::json&& autoscaler) {
    const auto target = autoscaler.at("spec").at("scaleTargetRef");
    found = found || (target.value("kind", "") == workload.kind() && target.value("name", "") == workload.name());
  }, limits);
  return found;
}

// Where the release leaves the number open, nobody but codops ever said none at all.
void compare_replicas(Cluster& cluster, const kube::Object& object, const kube::Object& live, const release::Release& release, kube::WorkloadSummary& summary,
                      std::vector<std::string>& drift, const Limits& limits) {
  if (object.kind() != "Deployment" && object.kind() != "StatefulSet") return;
  const auto now = live.json().at("spec").value("replicas", 1);
  const auto& spec = object.json().at("spec");
  const bool open = !spec.contains("replicas");
  const auto* service = release.service(object.name());
  const int wanted = !open ? spec.at("replicas").get<int>() : service != nullptr && service->replicas == 0 ? 0 : 1;
  if (open ? now > 0 || wanted == 0 : now == wanted) return;
  // One that is scaled to none is left alone by its autoscaler.
  if (now > 0 && is_autoscaled(cluster, object, limits)) return;
  drift.push_back(fmt::format("{}: scaled to {}, the release has {}", object.ref().text(), now, open ? "more" : std::to_string(wanted)));
  kube::count_by_release(summary, wanted);
}

const kube::Object* found_in(const std::vector<kube::Object>& objects, const kube::Ref& ref) {
  const auto found = std::find_if(objects.begin(), objects.end(), [&](const auto& one) { return one.ref() == ref; });
  return found == objects.end() ? nullptr : &*found;
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
  auto holder = std::async(std::launch::async, [&] { return cluster.lock("deploy")->inspect(limits); });
  auto abandoned = std::async(std::launch::async, [&] { return abandoned_runs(cluster, limits); });
  const auto snapshot = cluster.store().load(limits);
  cluster.require_owner(snapshot);
  try {
    for (const auto& job : abandoned.get()) status.abandoned.push_back(fmt::format("{}/{}", job.namespace_(), job.name()));
  } catch (const k8s::ApiError& error) {
    if (error.status() != 403) throw;  // who may not list Jobs runs none
  }
  status.damaged = snapshot.damaged;
  for (auto entry = snapshot.history.rbegin(); entry != snapshot.history.rend() && !status.last; ++entry) {
    if (entry->result == "ok") status.last = *entry;
  }
  if (const auto* record = snapshot.unfinished()) status.unfinished = unfinished_text(*record);
  if (const auto state = holder.get()) {
    if (release::judge(*state, release::this_process({}), release::process_alive) == release::Verdict::fresh) status.running = release::describe(*state);
  }
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
  std::map<std::string, std::set<std::string>> kinds;
  for (const auto& object : objects) {
    if (kube::is_workload(object) || holds_data(object)) kinds[object.namespace_()].insert(object.kind());
  }
  auto others = std::async(std::launch::async, [&] { return drift_of_others(cluster, objects, limits); });
  auto services = std::async(std::launch::async, [&] { return look_at_services(cluster, objects, limits); });
  std::map<std::string, Surroundings> seen;
  for (const auto& [namespace_, wanted] : kinds) seen.emplace(namespace_, look_around(cluster, namespace_, wanted, limits));
  for (const auto& object : objects) {
    const auto drifted = [&](const std::vector<std::string>& lines) {
      for (const auto& line : lines) status.drift.push_back(fmt::format("{}: {}", object.ref().text(), line));
    };
    if (holds_data(object)) {
      const auto* live = found_in(seen.at(object.namespace_()).data, object.ref());
      if (live != nullptr) drifted(kube::data_drift(object, *live));
      else if (const auto unlabelled = cluster.api().find(ref_of(object), limits)) drifted(kube::data_drift(object, kube::Object{*unlabelled}));
      else status.drift.push_back(fmt::format("{} was removed", object.ref().text()));
    }
    if (!kube::is_workload(object)) continue;
    const auto& around = seen.at(object.namespace_());
    const auto* live = found_in(around.workloads, object.ref());
    if (live == nullptr) {
      status.drift.push_back(fmt::format("{} was removed", object.ref().text()));
      kube::WorkloadSummary gone;
      gone.ref = object.ref();
      gone.why.push_back("it was removed");
      status.workloads.push_back(std::move(gone));
      continue;
    }
    auto summary = kube::summarise(observation_of(*live, around), status.now);
    compare_replicas(cluster, object, *live, *current, summary, status.drift, limits);
    status.workloads.push_back(std::move(summary));
    drifted(kube::pod_drift(object, *live));
    drifted(kube::added_variables(object, *live));
    // What the release's own manifest says is no drift.
    if (kube::refuse_early({object}).empty()) drifted(kube::refuse_early({*live}).empty() ? std::vector<std::string>{} : std::vector<std::string>{"was paused by hand"});
  }
  for (auto& line : others.get()) status.drift.push_back(std::move(line));
  for (const auto& service : service_states(objects, status.workloads, services.get())) {
    if (!service.why.empty()) status.unreached.push_back(fmt::format("{}: {}", service.ref.text(), service.why));
    if (!service.exists) status.drift.push_back(fmt::format("{} was removed", service.ref.text()));
    for (const auto& line : service.drift) status.drift.push_back(fmt::format("{}: {}", service.ref.text(), line));
  }
  return status;
}

std::optional<kube::WorkloadSummary> workload_summary(Cluster& cluster, const std::string& name, const Limits& limits) {
  for (const auto& [api_version, kind] : {std::pair{"apps/v1", "Deployment"}, {"apps/v1", "StatefulSet"}, {"apps/v1", "DaemonSet"}, {"batch/v1", "Job"}}) {
    auto found = cluster.api().find({api_version, kind, cluster.namespace_(), name.substr(name.find('/') == std::string::npos ? 0 : name.find('/') + 1)}, limits);
    if (!found) continue;
    const kube::Object live{std::move(*found)};
    if (name.find('/') != std::string::npos && live.ref().text() != name) continue;
    auto summary = kube::summarise(observation_of(live, look_around(cluster, cluster.namespace_(), {kind}, limits)), cluster.now());
    const auto observed = observe_state(cluster, limits);
    const auto* current = observed.snapshot.current();
    const auto* on_record = found_in(observed.current_objects, live.ref());
    std::vector<std::string> drift;
    if (current != nullptr && on_record != nullptr) compare_replicas(cluster, *on_record, live, *current, summary, drift, limits);
    return summary;
  }
  return std::nullopt;
}

namespace {

std::string abandoned_text(const Status& status) {
  std::string out;
  for (const auto& job : status.abandoned) {
    const auto slash = job.find('/');
    out += fmt::format("  left        the run in job {} goes on, nobody waits for it: kubectl -n {} delete job {}\n", job.substr(slash + 1), job.substr(0, slash), job.substr(slash + 1));
  }
  return out;
}

}  // namespace

std::string text(const Status& status) {
  if (!status.release) {
    auto out = fmt::format("{}  nothing is deployed    {}\n", status.environment, status.engine);
    if (status.running) out += fmt::format("  running     {}\n", *status.running);
    else if (status.unfinished) out += fmt::format("  unfinished  {}: codops resume {}\n", *status.unfinished, status.environment);
    return out + abandoned_text(status) + fmt::format("  codops deploy {} VERSION\n", status.environment);
  }
  const auto& release = *status.release;
  auto out = fmt::format("{}  {}  release {}  {}", status.environment, release.version, release.number, status.healthy() ? "healthy" : "UNHEALTHY");
  if (status.last) out += fmt::format("   since {}, by {}", format_age(status.now - status.last->ended), status.last->by);
  out += fmt::format("\n  {}\n", status.engine);
  std::size_t name_width = 8;
  std::size_t image_width = 5;
  for (const auto& workload : status.workloads) {
    name_width = std::max(name_width, workload.ref.text().size());
    for (const auto& image : workload.images) image_width = std::max(image_width, columns(short_image(image)));
  }
  out += fmt::format("  {:<{}}  {:<8}  {:<9}  {:<{}}  UP\n", "WORKLOAD", name_width, "READY", "HEALTH", "IMAGE", image_width);
  for (const auto& workload : status.workloads) {
    auto image = workload.images.empty() ? std::string{"-"} : short_image(workload.images.front());
    image.append(image_width - std::min(columns(image), image_width), ' ');
    std::string up{"-"};
    if (const auto since = parse_rfc3339(workload.since)) {
      up = format_age(status.now - *since);
      if (up.ends_with(" ago")) up.erase(up.size() - 4);
    }
    out += fmt::format("  {:<{}}  {:<8}  {:<9}  {}  {}\n", workload.ref.text(), name_width, fmt::format("{}/{}", workload.ready, workload.desired), health_word(workload), image, up);
    for (const auto& why : workload.why) out += fmt::format("  {:<{}}  ! {}\n", "", name_width, why);
  }
  for (const auto& line : status.unreached) out += fmt::format("  unreached   {}\n", line);
  if (status.running) out += fmt::format("  running     {}\n", *status.running);
  if (status.unfinished && !status.running) out += fmt::format("  unfinished  {}: codops resume {} or abort\n", *status.unfinished, status.environment);
  out += abandoned_text(status);
  const char* heading = "drift";
  for (const auto& line : status.drift) {
    out += fmt::format("  {:<10}  {}\n", heading, line);
    heading = "";
  }
  for (const auto& path : status.damaged) out += fmt::format("  damaged     {} in the state in the cluster can't be read\n", path);
  if (!status.altered_history.empty()) out += fmt::format("  altered     history entries {}, or those before them: not by codops\n", fmt::join(status.altered_history, ", "));
  return out;
}

std::string json(const Status& status) {
  using Ordered = nlohmann::ordered_json;
  Ordered out;
  out["exit"] = status.healthy() ? 0 : 2;
  out["environment"] = status.environment;
  out["engine"] = status.engine;
  out["healthy"] = status.healthy();
  out["release"] = status.release ? Ordered(status.release->number) : Ordered();
  if (status.release) out["version"] = status.release->version;
  if (status.last) {
    out["since"] = to_rfc3339(status.last->ended);
    out["by"] = status.last->by;
  }
  out["services"] = Ordered::array();
  for (const auto& workload : status.workloads) {
    Ordered one{{"name", workload.ref.name}, {"kind", workload.ref.kind}, {"namespace", workload.ref.namespace_}, {"wanted", workload.desired}, {"ready", workload.ready},
                {"updated", workload.updated}, {"available", workload.available}, {"healthy", workload.healthy}, {"images", workload.images}, {"why", workload.why},
                {"pods", Ordered::array()}};
    for (const auto& pod : workload.pods) {
      one["pods"].push_back({{"name", pod.name}, {"state", pod.state}, {"ready", pod.ready}, {"restarts", pod.restarts}, {"node", pod.node}, {"why", pod.why}});
    }
    out["services"].push_back(std::move(one));
  }
  out["unreached"] = status.unreached;
  out["drift"] = status.drift;
  out["unfinished"] = status.unfinished ? Ordered(*status.unfinished) : Ordered();
  out["abandoned"] = status.abandoned;
  out["lock"] = status.running ? Ordered(*status.running) : Ordered();
  out["damaged"] = status.damaged;
  out["altered_history"] = status.altered_history;
  return out.dump();
}

}  // namespace codops::ops::kubernetes
