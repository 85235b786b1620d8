#include "lib/ops/kubernetes/job.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/watch.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kept_lines = 20;
constexpr Milliseconds removal_time{10'000};
constexpr Milliseconds removal_time_after_signal{3000};
constexpr int longest_migration_seconds = 3600;
constexpr int kept_seconds = 86'400;
constexpr std::size_t longest_name = 63;
constexpr const char* migration_label = "codops.dev/migration";
// As long as most pods are given to end, and then some for a node to say so.
constexpr Milliseconds ending_time{90'000};
constexpr Milliseconds look_again{250};

// Of the pod's first container, or the init container that failed before it.
struct ContainerEnd {
  std::string container;
  bool started{false};
  std::optional<int> exit_code;
  bool out_of_memory{false};
  std::string start_error;
};

ContainerEnd end_of(const Json& pod) {
  ContainerEnd end;
  const auto status = pod.value("status", Json::object());
  for (const auto& init : status.value("initContainerStatuses", Json::array())) {
    const auto ended = init.value("state", Json::object()).value("terminated", Json::object());
    if (ended.empty() || ended.value("exitCode", 0) == 0) continue;
    return {init.value("name", ""), true, ended.value("exitCode", 1), ended.value("reason", "") == "OOMKilled", {}};
  }
  const auto containers = status.value("containerStatuses", Json::array());
  if (containers.empty()) return end;
  const auto& first = containers.front();
  end.container = first.value("name", "");
  const auto state = first.value("state", Json::object());
  end.started = state.contains("running") || state.contains("terminated");
  if (state.contains("terminated")) {
    end.exit_code = state.at("terminated").value("exitCode", 1);
    const auto reason = state.at("terminated").value("reason", "");
    end.out_of_memory = reason == "OOMKilled";
    if (reason == "StartError" || reason == "ContainerCannotRun") end.start_error = state.at("terminated").value("message", reason);
  }
  return end;
}

bool deadline_exceeded(const kube::Object& job) {
  for (const auto& condition : job.json().value("status", Json::object()).value("conditions", Json::array())) {
    if (condition.value("type", "") == "Failed" && condition.value("reason", "") == "DeadlineExceeded") return true;
  }
  return false;
}

bool has_ended(const Json& job) {
  for (const auto& condition : job.value("status", Json::object()).value("conditions", Json::array())) {
    const auto type = condition.value("type", "");
    if ((type == "Complete" || type == "Failed") && condition.value("status", "") == "True") return true;
  }
  return false;
}

// "job/migrate-r7", "pod/migrate-r7-x2c4v": those that may still be at work.
std::vector<std::string> running_migrations(Cluster& cluster, const std::string& namespace_, const Limits& limits) {
  std::vector<std::string> found;
  const k8s::Selection of_project{fmt::format("{}={}", migration_label, cluster.project()), {}};
  auto& api = cluster.api();
  for (const auto& job : api.list("batch/v1", "Job", namespace_, of_project, limits)) {
    if (has_ended(job)) continue;
    const kube::Object object{job};
    found.push_back(object.ref().text());
    // Foreground: the Job stays to be seen until its pods are gone.
    if (!job.at("metadata").contains("deletionTimestamp")) api.remove(ref_of(object), {.uid = object.uid(), .propagation = "Foreground"}, limits);
  }
  for (const auto& pod : api.list("v1", "Pod", namespace_, of_project, limits)) {
    const auto phase = pod.value("status", Json::object()).value("phase", "");
    if (phase != "Succeeded" && phase != "Failed") found.push_back(kube::Object{pod}.ref().text());
  }
  return found;
}

class JobWatch {
 public:
  JobWatch(Cluster& cluster, const kube::Object& job)
      : watch_{cluster.api(),
               {{"batch/v1", "Job", job.namespace_(), {{}, "metadata.name=" + job.name()}},
                {"v1", "Pod", job.namespace_(), {"job-name=" + job.name(), {}}},
                {"v1", "Event", job.namespace_(), {}}}} {
    seen_.workload = job;
  }

  // False: nothing came until the limits' deadline.
  bool take(const Limits& limits) {
    try {
      const auto event = watch_.next(limits);
      if (event.what == k8s::WatchEvent::What::synced) return true;
      const kube::Object object{*event.object};
      const bool gone = event.what == k8s::WatchEvent::What::deleted;
      if (event.which == 0) seen_.workload = gone ? kube::Object{} : object;
      else put(event.which == 1 ? seen_.pods : seen_.events, object, gone);
      return true;
    } catch (const Failure& failure) {
      if (failure.code() != Exit::deadline) throw;
      return false;
    }
  }
  const kube::Observation& seen() const { return seen_; }

 private:
  static void put(std::vector<kube::Object>& all, const kube::Object& object, bool gone) {
    std::erase_if(all, [&](const auto& one) { return one.uid() == object.uid(); });
    if (!gone) all.push_back(object);
  }

  k8s::Watch watch_;
  kube::Observation seen_;
};

}  // namespace

void remove_job(Cluster& cluster, const kube::Object& job, const Limits& limits) { cluster.api().remove(ref_of(job), {.propagation = "Background"}, limits); }

JobEnd run_job(Cluster& cluster, const kube::Object& job, const EachLine& each, std::vector<kube::Trouble>& troubles, const Limits& limits, const Started& started) {
  auto& api = cluster.api();
  try {
    api.create(job.json(), limits);
  } catch (const k8s::ApiError& error) {
    if (!error.already_exists()) throw;
  }
  try {
    JobWatch watch{cluster, job};
    kube::RolloutMemory memory;
    JobEnd end;
    bool followed = false;
    std::optional<Deadline::TimePoint> wake;
    for (;;) {
      limits.check("the job");
      watch.take({wake ? limits.deadline.sooner(Deadline::at(*wake)) : limits.deadline, limits.cancel});
      const auto& seen = watch.seen();
      if (seen.workload.empty()) throw Failure{Exit::failed, fmt::format("job {} was removed while it ran", job.name())};
      for (const auto& pod : seen.pods) {
        const auto now = end_of(pod.json());
        end.pod = pod.name();
        end.container = now.container;
        if (now.started && !followed) {
          followed = true;
          if (started) started(pod.name(), now.container);
          api.follow_lines(pod.namespace_(), pod.name(), now.container, [&](std::string_view line, bool ended) {
            end.last_lines.emplace_back(line);
            if (end.last_lines.size() > kept_lines) end.last_lines.erase(end.last_lines.begin());
            each(line, ended);
          }, limits);
        }
        if (!now.exit_code) continue;
        end.exit_code = *now.exit_code;
        end.out_of_memory = now.out_of_memory;
        end.start_error = now.start_error;
        end.deadline = deadline_exceeded(seen.workload);
        if (end.exit_code != 0) {
          troubles.push_back({"Job", {}, {}, pod.ref(), now.container,
                              {{kube::Evidence::Kind::logs, pod.ref(), now.container}, {kube::Evidence::Kind::events, pod.ref(), {}}}});
        }
        return end;
      }
      const auto verdict = kube::judge(seen, {}, memory, std::chrono::steady_clock::now(), cluster.now());
      wake = verdict.next;
      if (verdict.state != kube::Verdict::State::failed) continue;
      troubles.push_back(*verdict.trouble);
      throw Failure{Exit::failed, fmt::format("{}: {}", verdict.trouble->reason, verdict.trouble->message), verdict.trouble->hint};
    }
  } catch (const Failure& failure) {
    const bool signalled = failure.code() == Exit::interrupted || failure.code() == Exit::terminated;
    if (signalled || failure.code() == Exit::deadline) {
      try {
        remove_job(cluster, job, Limits{}.within(signalled ? removal_time_after_signal : removal_time));
      } catch (const Failure& not_removed) {
        // Why it ends counts more.
        cluster.reporter().warn(fmt::format("job {} could not be removed and may go on: {}", job.name(), not_removed.message()));
      }
    }
    throw;
  }
}

void end_migrations(Cluster& cluster, const std::set<std::string>& namespaces, const Limits& limits) {
  const auto until = limits.within(ending_time);
  for (const auto& namespace_ : namespaces) {
    bool told = false;
    for (;;) {
      const auto left = running_migrations(cluster, namespace_, limits);
      if (left.empty()) break;
      if (!told) cluster.reporter().note(fmt::format("an earlier run's migration is ended first: {}", fmt::join(left, ", ")));
      told = true;
      limits.check("the end of an earlier migration");
      if (until.deadline.expired()) {
        throw Failure{Exit::failed, fmt::format("an earlier run's migration has not ended for {}: {}", format_duration(ending_time), fmt::join(left, ", ")),
                      fmt::format("a second one beside it could damage data; see: kubectl -n {} get pods -l {}={}", namespace_, migration_label, cluster.project())};
      }
      until.within(look_again).wait(-1, 0);
    }
  }
}

std::vector<kube::Object> jobs_beside(Cluster& cluster, const std::set<std::string>& namespaces, const Limits& limits) {
  std::vector<kube::Object> found;
  for (const auto& namespace_ : namespaces) {
    for (const char* label : {run_label, migration_label}) {
      for (auto& json : cluster.api().list("batch/v1", "Job", namespace_, {fmt::format("{}={}", label, cluster.project()), {}}, limits)) found.emplace_back(std::move(json));
    }
  }
  return found;
}

std::string client_text() {
  const auto here = release::this_process({});
  return Json{{"owner", here.owner}, {"host", here.host}, {"boot", here.boot_id}, {"pids", here.pid_namespace}, {"pid", here.pid}, {"start", here.start_time}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

std::vector<kube::Object> abandoned_runs(Cluster& cluster, const Limits& limits) {
  const auto here = release::this_process({});
  std::vector<kube::Object> found;
  for (auto& json : cluster.api().list("batch/v1", "Job", cluster.namespace_(), {fmt::format("{}={}", run_label, cluster.project()), {}}, limits)) {
    if (has_ended(json)) continue;
    kube::Object job{std::move(json)};
    const auto client = Json::parse(job.annotation(client_note), nullptr, false);
    if (!client.is_object() || client.value("boot", "") != here.boot_id || client.value("pids", "") != here.pid_namespace) continue;
    if (!release::process_alive(client.value("pid", std::int64_t{0}), client.value("start", std::uint64_t{0}))) found.push_back(std::move(job));
  }
  return found;
}

kube::Object migration_job(const kube::Object& manifest, int release, const std::string& project) {
  auto job = manifest;
  auto& json = job.edit();
  const auto suffix = fmt::format("-r{}", release);
  json["metadata"]["name"] = manifest.name().substr(0, longest_name - suffix.size()) + suffix;
  auto& spec = json["spec"];
  spec["backoffLimit"] = 0;
  if (!spec.contains("activeDeadlineSeconds")) spec["activeDeadlineSeconds"] = longest_migration_seconds;
  if (!spec.contains("ttlSecondsAfterFinished")) spec["ttlSecondsAfterFinished"] = kept_seconds;
  spec["template"]["spec"]["restartPolicy"] = "Never";
  json["metadata"]["labels"][migration_label] = project;
  spec["template"]["metadata"]["labels"][migration_label] = project;
  return job;
}

}  // namespace codops::ops::kubernetes
