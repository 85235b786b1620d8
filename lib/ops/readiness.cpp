#include "lib/ops/readiness.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/proxy.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using engine::docker::ContainerDetails;
using release::Role;
using target::HealthState;
using target::RunState;

enum class Verdict { waiting, ready, failed };

struct Judgement {
  Verdict verdict{Verdict::waiting};
  std::string why;
};

bool has_ended(const ContainerDetails& details) {
  return details.state == RunState::exited || details.state == RunState::dead || details.state == RunState::restarting;
}

std::string how_it_ended(const ContainerDetails& details, const std::string& name) {
  if (details.oom_killed) return fmt::format("{} ran out of memory", name);
  if (!details.error.empty()) return fmt::format("{} could not start: {}", name, details.error);
  if (details.state == RunState::restarting) return fmt::format("{} exited and is being restarted", name);
  std::string after;
  if (details.started && details.finished && *details.finished > *details.started) {
    after = " after " + format_duration(*details.finished - *details.started);
  }
  return fmt::format("{} exited with {}{}", name, details.exit_code, after);
}

// Only the compose file can say that a service is one that ends.
std::string hint_for(const ContainerDetails& details, const release::ServiceRecord& service) {
  if (details.state != RunState::exited || details.exit_code != 0 || details.oom_killed || service.role == Role::one_shot) return {};
  return fmt::format("if \"{}\" is meant to run to its end: deploy: {{mode: replicated-job}} in the compose file, or let another service wait for it "
                     "(depends_on with condition: service_completed_successfully)", service.name);
}

// The engine counts from the last start by somebody: a set that rested may have restarted long ago.
std::int64_t restarts_in(const RunContext& context, const ContainerDetails& details, const std::string& name) {
  const auto before = context.restarts_before.find(name);
  return details.restart_count - (before == context.restarts_before.end() ? 0 : before->second);
}

Judgement judge(RunContext& context, const ContainerDetails& details, const Awaited& awaited, const Json& ready, const Limits& limits) {
  const auto& name = awaited.member.container;
  if (awaited.service->role == Role::one_shot) {
    if (details.state == RunState::exited && details.exit_code == 0 && !details.oom_killed) return {Verdict::ready, {}};
    if (has_ended(details)) return {Verdict::failed, how_it_ended(details, name)};
    return {};
  }
  // A restart by policy shows as running again: the count tells.
  if (has_ended(details) && !(awaited.patient && details.state == RunState::restarting)) return {Verdict::failed, how_it_ended(details, name)};
  if (!awaited.patient && restarts_in(context, details, name) > 0) return {Verdict::failed, fmt::format("{} exited and was restarted by the engine", name)};
  if (details.state != RunState::running) return {};
  if (details.health == HealthState::unhealthy) {
    if (awaited.patient) return {};
    std::string output;
    if (!details.probes.empty()) output = context.secrets(limits).hide(details.probes.back().output).substr(0, 200);
    while (!output.empty() && (output.back() == '\n' || output.back() == '\r')) output.pop_back();
    return {Verdict::failed, fmt::format("{} is unhealthy{}{}", name, output.empty() ? "" : ": ", output)};
  }
  if (details.health == HealthState::healthy) return {Verdict::ready, {}};
  if (details.health == HealthState::starting) return {};
  return {ready.contains("path") || ready.contains("port") ? Verdict::waiting : Verdict::ready, {}};
}

std::string summary(const std::vector<Awaited>& awaited, const std::vector<Verdict>& verdicts) {
  std::vector<std::string> parts;
  std::vector<std::string> seen;
  for (const auto& one : awaited) {
    const auto& service = one.service->name;
    if (std::find(seen.begin(), seen.end(), service) != seen.end()) continue;
    seen.push_back(service);
    int total = 0;
    int ready = 0;
    for (std::size_t index = 0; index < awaited.size(); ++index) {
      if (awaited[index].service->name != service) continue;
      ++total;
      if (verdicts[index] == Verdict::ready) ++ready;
    }
    parts.push_back(fmt::format("{} {}/{} {}", service, ready, total, one.service->role == Role::one_shot ? "done" : "healthy"));
  }
  return fmt::format("{}", fmt::join(parts, " · "));
}

constexpr Milliseconds probe_pause{100};

}  // namespace

// A container without a Docker health check that settings ask to probe: by exec-free TCP or HTTP from here.
bool probe_answers(RunContext& context, const ContainerDetails& details, const Awaited& awaited, const Json& ready, const Limits& limits);
// Whether nothing listens on that port. false too where it can't be reached from here (an engine elsewhere, one without root).
bool refuses_connections(RunContext& context, const ContainerDetails& details, int port, const Limits& limits);

namespace {

// A proxy that was just started has a published port before nginx has a socket: a caller in between is reset. nginx opens its sockets before
// it makes its workers, whatever they are asked for then.
// What the proxy is about to lead to must take connections: behind it the old set answers in its place, and hides that until it is gone.
bool listens(RunContext& context, const ContainerDetails& details, const Awaited& awaited, const Limits& limits) {
  const auto& service = *awaited.service;
  if (rolls(service.role)) return awaited.patient || !service.led || service.port == 0 || !refuses_connections(context, details, service.port, limits);
  if (awaited.service->role != Role::proxy || details.health != HealthState::none) return true;
  return !accepting_workers(context, awaited.member.container, limits).empty();
}

// How far a wait has come, also when it throws.
struct Progress {
  std::string shown;
  std::string hint;  // what would help where it goes no further
};

// Returns when all are ready.
void wait_for_all(RunContext& context, const std::vector<Awaited>& awaited, const std::function<void(const std::string&)>& progress,
                  Progress& at, const Limits& within) {
  std::vector<std::string> names;
  std::vector<Json> ready;
  for (const auto& one : awaited) {
    names.push_back(one.member.container);
    ready.push_back(one.service->ready.empty() ? Json::object() : Json::parse(one.service->ready));
  }
  std::vector<Verdict> verdicts(awaited.size(), Verdict::waiting);
  // Subscribed before the first look, so that no change falls between.
  auto events = context.api.events({{"type", {"container"}}, {"container", names}}, std::nullopt, within);
  for (;;) {
    bool probing = false;
    std::string deaf;
    at.hint.clear();
    for (std::size_t index = 0; index < awaited.size(); ++index) {
      if (verdicts[index] == Verdict::ready) continue;
      const auto details = context.api.find_container(names[index], within);
      if (!details) throw Failure{Exit::failed, fmt::format("{} was removed while it started", names[index])};
      auto judgement = judge(context, *details, awaited[index], ready[index], within);
      if (judgement.verdict == Verdict::failed) throw Failure{Exit::failed, judgement.why, hint_for(*details, *awaited[index].service)};
      if (judgement.verdict == Verdict::waiting && details->state == RunState::running && details->health == HealthState::none &&
          awaited[index].service->role != Role::one_shot) {
        if (probe_answers(context, *details, awaited[index], ready[index], within)) judgement.verdict = Verdict::ready;
        else probing = true;
      }
      if (judgement.verdict == Verdict::ready && !listens(context, *details, awaited[index], within)) {
        judgement.verdict = Verdict::waiting;
        probing = true;
        const auto& service = *awaited[index].service;
        if (service.role == Role::proxy) {
          deaf = fmt::format("; nginx in {} has not started to take connections", names[index]);
        } else {
          deaf = fmt::format("; nothing listens on port {} of {}, where the proxy sends requests", service.port, names[index]);
          at.hint = fmt::format("proxy: {{services: {{{}: {{port: N}}}}}} in codops.yaml names the port that it does listen on; ", service.name);
        }
      }
      verdicts[index] = judgement.verdict;
    }
    const auto now = summary(awaited, verdicts) + deaf;
    if (progress && now != at.shown) progress(now);
    at.shown = now;
    if (std::all_of(verdicts.begin(), verdicts.end(), [](Verdict verdict) { return verdict == Verdict::ready; })) return;
    try {
      const auto until = probing ? within.within(probe_pause) : within;
      auto event = events->next(until);
      // Three for each health check, which say nothing: its result is an event of its own.
      while (event && event->action.starts_with("exec_")) event = events->next(until);
      if (!event) events = context.api.events({{"type", {"container"}}, {"container", names}}, std::nullopt, within);
    } catch (const Failure& failure) {
      if (failure.code() != Exit::deadline) {
        // The stream broke (an engine restart): a new one, or the reason why there is none.
        events = context.api.events({{"type", {"container"}}, {"container", names}}, std::nullopt, within);
        continue;
      }
      if (within.deadline.expired()) throw;
    }
  }
}

}  // namespace

void wait_ready(RunContext& context, const std::vector<Awaited>& awaited, const std::function<void(const std::string&)>& progress,
                const Limits& limits) {
  if (awaited.empty()) return;
  Progress at;
  try {
    wait_for_all(context, awaited, progress, at, limits.within(context.ready_timeout));
  } catch (const Failure& failure) {
    // Any call may be the one that the time runs out in; the whole run's own deadline stays one.
    if (failure.code() != Exit::deadline || limits.deadline.expired()) throw;
    throw Failure{Exit::failed, fmt::format("not ready after {}: {}", format_duration(context.ready_timeout), at.shown),
                  at.hint + "timeouts.ready in codops.yaml gives it longer"};
  }
}

std::vector<Awaited> members_named(const release::Release& release, const std::vector<std::string>& containers) {
  std::vector<Awaited> found;
  for (const auto& service : release.services) {
    for (const auto& member : service.members) {
      if (std::find(containers.begin(), containers.end(), member.container) != containers.end()) found.push_back({&service, member});
    }
  }
  return found;
}

void wait_kept(RunContext& context, const std::vector<Awaited>& members, const std::function<void(const std::string&)>& progress,
               const Limits& limits) {
  std::vector<Awaited> booting;
  for (const auto& one : members) {
    const auto details = context.api.find_container(one.member.container, limits);
    const auto now = context.api.client().engine_now().value_or(context.clock.now());
    const bool long_ago = details && details->started && now - *details->started > context.ready_timeout;
    if (details && details->health == HealthState::unhealthy && long_ago) continue;
    booting.push_back(one);
    booting.back().patient = true;
  }
  wait_ready(context, booting, progress, limits);
}

void watch_members(RunContext& context, const std::vector<std::string>& containers, Deadline until, Milliseconds every,
                   const std::function<void()>& ask, const Limits& limits) {
  const auto open = [&] { return context.api.events({{"type", {"container"}}, {"container", containers}}, std::nullopt, limits); };
  const auto look = [&] {
    for (const auto& name : containers) {
      const auto details = context.api.find_container(name, limits);
      if (!details) throw Failure{Exit::failed, fmt::format("{} was removed", name)};
      if (has_ended(*details)) throw Failure{Exit::failed, how_it_ended(*details, name)};
      if (restarts_in(context, *details, name) > 0) throw Failure{Exit::failed, fmt::format("{} exited and was restarted", name)};
      if (details->health == HealthState::unhealthy) throw Failure{Exit::failed, fmt::format("{} turned unhealthy", name)};
    }
  };
  auto events = containers.empty() ? nullptr : open();
  look();
  while (!until.expired()) {
    if (ask) ask();
    auto pause = Deadline::after(every).sooner(until);
    while (!pause.expired()) {
      limits.check("the monitor window");
      const Limits short_wait{limits.deadline.sooner(pause), limits.cancel};
      if (!events) {
        short_wait.wait(-1, 0);
        continue;
      }
      try {
        const auto event = events->next(short_wait);
        if (!event) {
          events = open();
          look();
          continue;
        }
        // exec_* events of health checks are frequent and say nothing.
        if (event->action.starts_with("die") || event->action.starts_with("oom") || event->action.starts_with("health_status") ||
            event->action.starts_with("destroy") || event->action.starts_with("stop")) {
          look();
        }
      } catch (const Failure& failure) {
        if (failure.code() == Exit::deadline && !limits.deadline.expired()) continue;
        if (failure.code() != Exit::unavailable) throw;
        events = open();
        look();
      }
    }
  }
  look();
}

}  // namespace codops::ops
