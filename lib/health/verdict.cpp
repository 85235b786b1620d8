#include "lib/health/verdict.hpp"

#include <set>

#include "lib/base/units.hpp"
#include "lib/health/verdict_parts.hpp"
#include "lib/io/shown_word.hpp"

namespace codops::health {
namespace {

int rank(Status status) {
  switch (status) {
    case Status::fail: return 3;
    case Status::unknown: return 2;
    case Status::warn: return 1;
    default: return 0;
  }
}

}  // namespace

Decision decide(const std::vector<bool>& history, int failures, int successes) {
  if (history.empty()) return Decision::more;
  int run = 0;
  for (auto it = history.rbegin(); it != history.rend() && *it == history.back(); ++it) ++run;
  if (history.back() && run >= successes) return Decision::well;
  if (!history.back() && run >= failures) return Decision::failing;
  return static_cast<int>(history.size()) >= 4 * (failures + successes) ? Decision::flapping : Decision::more;
}

Finding worse(Finding first, Finding second) {
  const bool takes_second = rank(second.status) > rank(first.status);
  auto& chosen = takes_second ? second : first;
  auto& other = takes_second ? first : second;
  chosen.metrics.insert(chosen.metrics.end(), other.metrics.begin(), other.metrics.end());
  return std::move(chosen);
}

std::vector<const target::Container*> chosen_containers(const std::vector<target::Container>& all, const std::string& name) {
  std::vector<const target::Container*> out;
  for (const auto& container : all) {
    if (container.name == name || container.service == name) out.push_back(&container);
  }
  if (out.empty() && name.size() >= 12) {
    for (const auto& container : all) {
      if (container.id.starts_with(name)) out.push_back(&container);
    }
  }
  const auto release = [](const target::Container& container) {
    const auto found = container.labels.find("codops.release");
    return found == container.labels.end() ? std::string{} : found->second;
  };
  std::set<std::string> running;
  for (const auto* container : out) {
    if (container->state == target::RunState::running) running.insert(release(*container));
  }
  std::erase_if(out, [&](const auto* container) {
    const bool stopped = container->state == target::RunState::exited || container->state == target::RunState::created;
    return stopped && !running.empty() && !release(*container).empty() && !running.contains(release(*container));
  });
  return out;
}

Finding judge_container(const std::string& name, const target::Container* container) {
  if (container == nullptr) {
    return found(Status::fail, io::Stage::status, "there is no container \"" + io::shown_word(name) + "\"", "docker compose ps -a");
  }
  const auto logs = "docker logs --tail 20 " + container->name;
  switch (container->state) {
    case target::RunState::running: break;
    case target::RunState::restarting: return found(Status::fail, io::Stage::status, "the container restarts again and again", logs);
    case target::RunState::paused: return found(Status::fail, io::Stage::status, "the container is paused", "docker unpause " + container->name);
    case target::RunState::created: return found(Status::fail, io::Stage::status, "the container was never started", "docker start " + container->name);
    case target::RunState::exited:
    case target::RunState::dead: return found(Status::fail, io::Stage::status, "the container has stopped", logs);
  }
  switch (container->health) {
    case target::HealthState::unhealthy: return found(Status::fail, io::Stage::status, "its own health check fails", logs);
    case target::HealthState::starting: return found(Status::fail, io::Stage::status, "its own health check has not passed yet", "wait for it: --wait");
    default: return {};
  }
}

Finding judge_disk(const std::string& path, std::uint64_t total, std::uint64_t available, const DiskLimits& limits) {
  if (total == 0) return found(Status::unknown, io::Stage::body, "the file system of " + io::shown_word(path) + " tells no size", "");
  const double used = 100.0 * static_cast<double>(total - std::min(total, available)) / static_cast<double>(total);
  Finding out;
  out.metrics.push_back({"disk", used, "%", as_double(limits.warn_used), as_double(limits.fail_used), 0, 100});
  out.status = level(used, as_double(limits.warn_used), as_double(limits.fail_used));
  if (limits.fail_free && available < *limits.fail_free) out.status = Status::fail;
  if (limits.warn_free && available < *limits.warn_free && out.status == Status::ok) out.status = Status::warn;
  if (out.status == Status::ok) return out;
  out.stage = io::Stage::body;
  out.message = fmt::format("{} is {:.0f} % full: {} are left", io::shown_word(path), used, format_bytes(available));
  out.hint = "docker system df shows what can go";
  return out;
}

Finding judge_workload(const WorkloadState& state) {
  if (!state.exists) return found(Status::fail, io::Stage::status, "there is no such workload", "kubectl get deployments,statefulsets,jobs");
  const auto ready = fmt::format("{} of {} replicas are ready", state.ready, state.wanted);
  const auto why = state.reason.empty() ? std::string{} : ": " + state.reason;
  Finding out;
  if (state.gave_up) {
    out = found(Status::fail, io::Stage::status, "its rollout gave up, " + ready + why, "kubectl describe shows the events");
  } else if (state.ready < state.wanted) {
    out = found(Status::fail, io::Stage::status, ready + why, "kubectl describe shows the events");
  } else if (state.updated < state.wanted) {
    out = found(Status::warn, io::Stage::status, fmt::format("{} of {} replicas are up to date", state.updated, state.wanted), "");
  }
  out.metrics.push_back({"ready", static_cast<double>(state.ready), "", std::nullopt, std::nullopt, 0, static_cast<double>(state.wanted)});
  return out;
}

}  // namespace codops::health
