#include "lib/ops/kubernetes/one_off.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/exec.hpp"
#include "lib/io/crypto.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/interactive.hpp"
#include "lib/ops/kubernetes/job.hpp"
#include "lib/ops/kubernetes/rollout.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

constexpr int longest_rest_seconds = 86'400;
constexpr Milliseconds clean_up_time{5000};
constexpr Milliseconds clean_up_time_after_signal{1500};
// The node's own time to notice, so that whoever waits sees the end before the cluster makes one.
constexpr Milliseconds beyond_deadline{15'000};
constexpr std::size_t longest_workload_part = 40;

// Labels of its own only: with the workload's, Services would send it requests.
Json job_for(Cluster& cluster, const OneOff& one_off, const std::vector<std::string>& argv, const Limits& limits) {
  const auto snapshot = cluster.store().load(limits);
  const auto* current = snapshot.current();
  if (current == nullptr) {
    throw Failure{Exit::failed, fmt::format("nothing that codops deployed runs in {}", cluster.environment().name),
                  fmt::format("codops deploy {} VERSION", cluster.environment().name)};
  }
  const auto objects = objects_of(cluster.store().load_specs(*current, limits));
  const auto& workload = workload_named(objects, one_off.service);
  auto spec = workload.json().at(Json::json_pointer{kube::pod_spec_pointer(workload)});
  auto container = spec.at("containers").front();
  for (const char* field : {"ports", "readinessProbe", "livenessProbe", "startupProbe", "lifecycle", "args"}) container.erase(field);
  container["command"] = argv;
  for (const auto& [name, value] : one_off.env) container["env"].push_back({{"name", name}, {"value", value}});
  spec["containers"] = Json::array({container});
  spec.erase("initContainers");
  spec["restartPolicy"] = "Never";
  const Json labels{{run_label, cluster.project()}};
  Json job{{"backoffLimit", 0}, {"ttlSecondsAfterFinished", longest_rest_seconds}, {"template", {{"metadata", {{"labels", labels}}}, {"spec", spec}}}};
  // Should this process die, the cluster keeps the time.
  if (!limits.deadline.is_never()) job["activeDeadlineSeconds"] = std::chrono::duration_cast<std::chrono::seconds>(limits.deadline.remaining() + beyond_deadline).count();
  return {{"apiVersion", "batch/v1"},
          {"kind", "Job"},
          {"metadata",
           {{"name", fmt::format("codops-run-{}-{}", workload.name().substr(0, longest_workload_part), io::to_hex(io::random_bytes(4)))},
            {"namespace", workload.namespace_()},
            {"labels", labels},
            {"annotations", {{client_note, client_text()}}}}},
          {"spec", std::move(job)}};
}

class RemovedJob {
 public:
  RemovedJob(Cluster& cluster, kube::Object job, Cancel cancel) : cluster_{cluster}, job_{std::move(job)}, cancel_{std::move(cancel)} {}
  ~RemovedJob() {
    try {
      remove_job(cluster_, job_, Limits{}.within(cancel_.requested() ? clean_up_time_after_signal : clean_up_time));
    } catch (const Failure&) {
      // Its ttlSecondsAfterFinished is the net, and `status` names one that goes on.
    }
  }
  RemovedJob(const RemovedJob&) = delete;
  RemovedJob& operator=(const RemovedJob&) = delete;

 private:
  Cluster& cluster_;
  kube::Object job_;
  Cancel cancel_;
};

}  // namespace

int run_one_off(Cluster& cluster, const OneOff& one_off, const target::ExecStreams& streams, const Limits& limits) {
  const kube::Object job{job_for(cluster, one_off, one_off.argv, limits)};
  const RemovedJob removed{cluster, job, limits.cancel};
  std::vector<kube::Trouble> troubles;
  const auto follow = [&] {
    return run_job(cluster, job, [&](std::string_view line) {
      if (streams.out) streams.out(std::string{line} + "\n");
    }, troubles, limits);
  };
  JobEnd end;
  try {
    end = follow();
  } catch (const Failure& failure) {
    // The call that was under way when the time was over has nothing to do with it.
    if (failure.code() != Exit::deadline || !limits.deadline.expired()) throw;
    throw Failure{Exit::deadline, fmt::format("the command in {} had not ended; its job is removed", one_off.service), "give it longer: --timeout"};
  }
  if (end.out_of_memory) cluster.reporter().warn("the command ran out of memory (OOMKilled)");
  if (end.start_error.empty()) return end.exit_code;
  // As a shell has it, and as on Docker.
  const auto words = end.start_error + "\n";
  if (streams.err) streams.err(words);
  return k8s::says_no_such_command(end.start_error) ? 127 : 126;
}

int run_on_terminal(Cluster& cluster, const OneOff& one_off, const Limits& limits) {
  auto json = job_for(cluster, one_off, {"sleep", std::to_string(longest_rest_seconds)}, limits);
  const kube::Object job{json};
  const RemovedJob removed{cluster, job, limits.cancel};
  auto& api = cluster.api();
  api.create(job.json(), limits);
  const auto pod = await_running_pod(cluster, job, limits);
  return exec_on_terminal(cluster, pod, one_off.argv, limits);
}

}  // namespace codops::ops::kubernetes
