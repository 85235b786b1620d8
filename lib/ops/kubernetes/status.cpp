#include "lib/ops/kubernetes/status.hpp"

#include <fmt/format.h>

#include <future>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/units.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/pod_essence.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops::kubernetes {
namespace {

// What summaries are made of, per namespace.
struct Surroundings {
  std::vector<kube::Object> workloads, children, pods, events;
};

std::vector<kube::Object> listed(k8s::Api& api, const char* api_version, const char* kind, const std::string& namespace_, const Limits& limits) {
  std::vector<kube::Object> found;
  api.list(api_version, kind, namespace_, {}, [&](nlohmann::json&& json) {
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
  const auto ask = [&](const char* api_version, const char* kind) {
    return std::async(std::launch::async, [&api, api_version, kind, &namespace_, &limits] { return listed(api, api_version, kind, namespace_, limits); });
  };
  auto pods = ask("v1", "Pod");
  std::vector<std::future<std::vector<kube::Object>>> workloads, children;
  for (const auto* kind : {"Deployment", "StatefulSet", "DaemonSet"}) {
    if (kinds.contains(kind)) workloads.push_back(ask("apps/v1", kind));
  }
  if (kinds.contains("Job")) workloads.push_back(ask("batch/v1", "Job"));
  if (kinds.contains("Deployment")) children.push_back(ask("apps/v1", "ReplicaSet"));
  if (kinds.contains("StatefulSet") || kinds.contains("DaemonSet")) children.push_back(ask("apps/v1", "ControllerRevision"));
  seen.pods = pods.get();
  for (auto& one : workloads) append(seen.workloads, one.get());
  for (auto& one : children) append(seen.children, one.get());
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

}  // namespace

bool Status::healthy() const {
  if (unknown) return false;
  return release.has_value() && !unfinished && std::all_of(workloads.begin(), workloads.end(), [](const auto& workload) { return workload.healthy; });
}

Status status_of(Cluster& cluster, const Limits& limits) {
  Status status;
  status.environment = cluster.environment().name;
  status.engine = cluster.shown();
  auto holder = std::async(std::launch::async, [&] { return cluster.lock("deploy")->inspect(limits); });
  const auto snapshot = cluster.store().load(limits);
  cluster.require_owner(snapshot);
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
    if (kube::is_workload(object)) kinds[object.namespace_()].insert(object.kind());
  }
  std::map<std::string, Surroundings> seen;
  for (const auto& [namespace_, wanted] : kinds) seen.emplace(namespace_, look_around(cluster, namespace_, wanted, limits));
  for (const auto& object : objects) {
    if (!kube::is_workload(object)) continue;
    const auto& around = seen.at(object.namespace_());
    const auto live = std::find_if(around.workloads.begin(), around.workloads.end(), [&](const auto& one) { return one.ref() == object.ref(); });
    if (live == around.workloads.end()) {
      status.drift.push_back(fmt::format("{} was removed", object.ref().text()));
      kube::WorkloadSummary gone;
      gone.ref = object.ref();
      gone.why.push_back("it was removed");
      status.workloads.push_back(std::move(gone));
      continue;
    }
    status.workloads.push_back(kube::summarise(observation_of(*live, around)));
    const auto wanted = kube::images_of({object});
    const auto found = kube::images_of({*live});
    for (std::size_t index = 0; index < wanted.size() && index < found.size(); ++index) {
      if (wanted[index].image != found[index].image) status.drift.push_back(fmt::format("{}: runs {}, the release says {}", object.ref().text(), found[index].image, wanted[index].image));
    }
  }
  return status;
}

std::optional<kube::WorkloadSummary> workload_summary(Cluster& cluster, const std::string& name, const Limits& limits) {
  for (const auto& [api_version, kind] : {std::pair{"apps/v1", "Deployment"}, {"apps/v1", "StatefulSet"}, {"apps/v1", "DaemonSet"}, {"batch/v1", "Job"}}) {
    auto found = cluster.api().find({api_version, kind, cluster.namespace_(), name.substr(name.find('/') == std::string::npos ? 0 : name.find('/') + 1)}, limits);
    if (!found) continue;
    const kube::Object live{std::move(*found)};
    if (name.find('/') != std::string::npos && live.ref().text() != name) continue;
    return kube::summarise(observation_of(live, look_around(cluster, cluster.namespace_(), {kind}, limits)));
  }
  return std::nullopt;
}

std::string text(const Status& status) {
  if (!status.release) {
    auto out = fmt::format("{}  nothing is deployed    {}\n", status.environment, status.engine);
    if (status.running) out += fmt::format("  running     {}\n", *status.running);
    else if (status.unfinished) out += fmt::format("  unfinished  {}: codops resume {}\n", *status.unfinished, status.environment);
    return out + fmt::format("  codops deploy {} VERSION\n", status.environment);
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
  if (status.running) out += fmt::format("  running     {}\n", *status.running);
  if (status.unfinished && !status.running) out += fmt::format("  unfinished  {}: codops resume {} or abort\n", *status.unfinished, status.environment);
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
  out["drift"] = status.drift;
  out["unfinished"] = status.unfinished ? Ordered(*status.unfinished) : Ordered();
  out["lock"] = status.running ? Ordered(*status.running) : Ordered();
  out["damaged"] = status.damaged;
  out["altered_history"] = status.altered_history;
  return out.dump();
}

}  // namespace codops::ops::kubernetes
