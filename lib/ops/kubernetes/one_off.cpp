#include "lib/ops/kubernetes/one_off.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/exec.hpp"
#include "lib/io/crypto.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/input_feed.hpp"
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

// A runtime may lose what a container says just before it ends (containerd 1.6 drops what is in its pipes then, and the log has it never). So
// the command runs below a shell that says when both streams are through, and stays until that was read.
constexpr const char* wrapper = R"(m=$1; shift; exec 3<&0; "$@" <&3 3<&- & c=$!; exec </dev/null 3<&-; trap 'kill -TERM $c' TERM; wait $c 2>/dev/null; r=$?; )"
                                R"(printf '%s %s\n' "$m" $r; printf '%s %s\n' "$m" $r >&2; trap 'exit $r' TERM; sleep 30 & wait $!; exit $r)";

// Thrown by whoever reads the lines, once the end of both streams is there.
struct Through {
  int exit_code{};
};

// Tells the lines of a wrapped command from the wrapper's own two.
class WrappedLines {
 public:
  WrappedLines(std::string mark, const target::Sink& out) : mark_{std::move(mark) + " "}, out_{out} {}
  void operator()(std::string_view line, bool ended) {
    const auto at = line.rfind(mark_);
    if (at == std::string_view::npos) return tell(std::string{line} + (ended ? "\n" : ""));
    // The command's last words had no end of their line.
    if (at > 0) tell(std::string{line.substr(0, at)});
    const auto code = std::atoi(std::string{line.substr(at + mark_.size())}.c_str());
    if (++ends_ == 2) throw Through{code};
  }

 private:
  void tell(const std::string& bytes) {
    if (out_) out_(bytes);
  }

  std::string mark_;
  const target::Sink& out_;
  int ends_{0};
};

// Labels of its own only: with the workload's, Services would send it requests.
Json job_for(Cluster& cluster, const OneOff& one_off, const std::vector<std::string>& argv, const Limits& limits) {
  const auto snapshot = cluster.store().load(limits);
  cluster.require_owner(snapshot);
  const auto* current = snapshot.current();
  if (current == nullptr) {
    throw Failure{Exit::failed, fmt::format("nothing that codops deployed runs in {}", cluster.environment().name),
                  fmt::format("codops deploy {} VERSION", cluster.environment().name)};
  }
  const auto objects = objects_of(cluster.store().load_specs(*current, limits));
  const auto& workload = workload_named(objects, one_off.service);
  auto spec = workload.json().at(Json::json_pointer{kube::pod_spec_pointer(workload)});
  const auto annotations = workload.json().value("/spec/template/metadata/annotations"_json_pointer, Json::object());
  auto container = spec.at("containers").at(kube::main_container(spec.at("containers"), annotations));
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

// Whether there is something to read, or soon may be: no answer is needed of a terminal or of nothing at all.
bool has_input() {
  struct stat file {};
  if (::fstat(STDIN_FILENO, &file) == 0 && S_ISREG(file.st_mode)) return file.st_size > 0;
  int count = 0;
  return ::ioctl(STDIN_FILENO, FIONREAD, &count) == 0 && count > 0;
}

bool may_attach(Cluster& cluster, const std::string& namespace_, const Limits& limits) {
  const auto allowed = [&](const char* verb) { return cluster.api().allowed({verb, "", "pods", "attach", namespace_, ""}, limits); };
  return allowed("create") && allowed("get");
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

// nullopt: the image has no shell, and nothing has run.
std::optional<int> run_once(Cluster& cluster, const OneOff& one_off, const target::ExecStreams& streams, bool wrapped, const Limits& limits) {
  const auto mark = "codops-end-" + io::to_hex(io::random_bytes(8));
  auto argv = one_off.argv;
  if (wrapped) argv.insert(argv.begin(), {"sh", "-c", wrapper, "sh", mark});
  auto json = job_for(cluster, one_off, argv, limits);
  const std::string namespace_ = json.at("metadata").at("namespace");
  const bool attached = streams.in && may_attach(cluster, namespace_, limits);
  if (streams.in && !attached && has_input()) {
    throw Failure{Exit::failed, "the command would not get its standard input: the cluster does not allow pods/attach",
                  fmt::format("a Role in {} with \"create\" and \"get\" on pods/attach; without input: </dev/null", namespace_)};
  }
  if (attached) {
    auto& container = json["spec"]["template"]["spec"]["containers"][0];
    container["stdin"] = container["stdinOnce"] = true;
  }
  const kube::Object job{json};
  const RemovedJob removed{cluster, job, limits.cancel};
  std::vector<kube::Trouble> troubles;
  WrappedLines lines{mark, streams.out};
  std::optional<InputFeed> feed;
  const auto follow = [&] {
    return run_job(cluster, job, [&](std::string_view line, bool ended) { lines(line, ended); }, troubles, limits, [&](const std::string& pod, const std::string& container) {
      if (attached) feed.emplace(cluster.api(), k8s::Api::ExecSpec{.namespace_ = job.namespace_(), .pod = pod, .container = container, .argv = {}, .attach = true}, STDIN_FILENO, limits);
    });
  };
  JobEnd end;
  try {
    end = follow();
  } catch (const Through& through) {
    end.exit_code = through.exit_code;
  } catch (const Failure& failure) {
    // The call that was under way when the time was over has nothing to do with it.
    if (failure.code() != Exit::deadline || !limits.deadline.expired()) throw;
    throw Failure{Exit::deadline, fmt::format("the command in {} had not ended; its job is removed", one_off.service), "give it longer: --timeout"};
  }
  if (const auto lost = feed ? feed->lost() : std::string{}; !lost.empty()) {
    throw Failure{Exit::unavailable, fmt::format("standard input did not get to the command whole: {}", lost), "what it did is of what it got; look, and run it again"};
  }
  if (end.out_of_memory) cluster.reporter().warn("the command ran out of memory (OOMKilled)");
  if (end.start_error.empty()) return end.exit_code;
  if (wrapped && k8s::says_no_such_command(end.start_error)) return std::nullopt;
  // As a shell has it, and as on Docker.
  const auto words = end.start_error + "\n";
  if (streams.err) streams.err(words);
  return k8s::says_no_such_command(end.start_error) ? 127 : 126;
}

}  // namespace

int run_one_off(Cluster& cluster, const OneOff& one_off, const target::ExecStreams& streams, const Limits& limits) {
  if (const auto code = run_once(cluster, one_off, streams, true, limits)) return *code;
  return run_once(cluster, one_off, streams, false, limits).value_or(127);
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
