#include "lib/ops/kubernetes/interactive.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/containers.hpp"
#include "lib/engine/kubernetes/exec.hpp"
#include "lib/engine/kubernetes/watch.hpp"
#include "lib/kube/rollout.hpp"
#include "lib/ops/raw_terminal.hpp"

namespace codops::ops::kubernetes {
namespace {

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void carry(k8s::ExecSession& session, const Limits& limits) {
  std::array<char, 16384> buffer;
  TerminalSize known;
  bool typing = true;
  for (;;) {
    if (const auto now = terminal_size(); now != known) {
      known = now;
      if (now.rows != 0) session.resize(now.rows, now.columns);
    }
    while (const auto output = session.try_read()) {
      if (output->channel == k8s::ExecSession::Output::Channel::end) return;
      if (!write_all(output->bytes)) return;
    }
    const bool sent = session.flush();
    std::array<pollfd, 3> fds{pollfd{typing && sent ? STDIN_FILENO : -1, POLLIN, 0},
                              pollfd{session.fd(), static_cast<short>(sent ? POLLIN : POLLIN | POLLOUT), 0}, pollfd{limits.cancel.fd(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), look_at_window_ms);
    limits.check("the command");
    if ((fds[0].revents & (POLLIN | POLLHUP)) == 0) continue;
    const auto count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count <= 0) {
      typing = false;
      session.end_stdin();
    } else {
      session.write({buffer.data(), static_cast<std::size_t>(count)});
    }
  }
}

}  // namespace

int exec_on_terminal(Cluster& cluster, const std::string& container, const std::vector<std::string>& argv, const Limits& limits) {
  const auto place = k8s::parse_container_id(container, cluster.namespace_());
  k8s::Api::ExecSpec spec{place.namespace_, place.pod, place.container, argv, true};
  k8s::ExecSession session{cluster.api(), spec, true, limits};
  {
    const RawTerminal raw;
    carry(session, limits);
  }
  const auto code = session.exit_code();
  if (!session.why_not_started().empty()) cluster.reporter().warn(session.why_not_started());
  return code;
}

std::string await_running_pod(Cluster& cluster, const kube::Object& job, const Limits& limits) {
  k8s::Watch watch{cluster.api(), {{"v1", "Pod", job.namespace_(), {"job-name=" + job.name(), {}}}, {"v1", "Event", job.namespace_(), {}}}};
  kube::Observation seen;
  seen.workload = job;
  kube::RolloutMemory memory;
  std::optional<Deadline::TimePoint> wake;
  for (;;) {
    limits.check("the pod");
    try {
      const auto event = watch.next({wake ? limits.deadline.sooner(Deadline::at(*wake)) : limits.deadline, limits.cancel});
      if (event.what == k8s::WatchEvent::What::synced) continue;
      const kube::Object object{*event.object};
      auto& all = event.which == 0 ? seen.pods : seen.events;
      std::erase_if(all, [&](const auto& one) { return one.uid() == object.uid(); });
      if (event.what != k8s::WatchEvent::What::deleted) all.push_back(object);
    } catch (const Failure& failure) {
      if (failure.code() != Exit::deadline) throw;
    }
    for (const auto& pod : seen.pods) {
      const auto containers = pod.json().value("status", nlohmann::json::object()).value("containerStatuses", nlohmann::json::array());
      if (!containers.empty() && containers.front().value("state", nlohmann::json::object()).contains("running")) {
        return fmt::format("{}/{}/{}", pod.namespace_(), pod.name(), containers.front().value("name", ""));
      }
    }
    const auto verdict = kube::judge(seen, {}, memory, std::chrono::steady_clock::now(), cluster.now());
    wake = verdict.next;
    if (verdict.state != kube::Verdict::State::failed) continue;
    throw Failure{Exit::failed, fmt::format("{}: {}", verdict.trouble->reason, verdict.trouble->message), verdict.trouble->hint};
  }
}

}  // namespace codops::ops::kubernetes
