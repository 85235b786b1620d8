#include "lib/ops/status.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/base/units.hpp"
#include "lib/ops/definitions.hpp"
#include "lib/ops/maintenance.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/one_off.hpp"
#include "lib/ops/others.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops {
namespace {

using release::Role;
using release::ServiceRecord;

std::string age(const Observed& observed, WallTime then) { return format_age(observed.now - then); }

// When what serves was last settled; a restart before that was seen then.
WallTime settled(const Observed& observed) {
  const auto& history = observed.snapshot.history;
  const auto last = std::find_if(history.rbegin(), history.rend(), [](const auto& entry) { return entry.result == "ok"; });
  return last == history.rend() ? WallTime{} : last->ended;
}

// The engine (or the host) was restarted: everything that was there by then started at about that time.
bool all_started_with(const Observed& observed, const ObservedContainer& container) {
  constexpr std::chrono::minutes about{2};
  int others = 0;
  for (const auto& other : observed.containers) {
    if (&other == &container || !other.running() || other.created > container.started - about) continue;
    ++others;
    if (std::chrono::abs(other.started - container.started) > about) return false;
  }
  return others > 0;
}

// A container that its release wants, and what is odd about it.
void compare(const Observed& observed, const release::Release& release, const ServiceRecord& service, const release::Member& member, ServiceStatus& status,
             std::vector<std::string>& drift) {
  const auto* container = observed.container(member.container);
  if (container == nullptr) {
    container = observed.renamed(member.container);
    if (container == nullptr && service.role == Role::one_shot && is_pruned(observed, release, member)) {
      ++status.running;
      ++status.healthy;
      return;
    }
    if (container == nullptr) {
      drift.push_back(fmt::format("{} was removed", member.container));
      return;
    }
    drift.push_back(fmt::format("{} was renamed to {}: the next changing command gives it its name again", member.container, container->name));
  }
  if (container->state == target::RunState::paused) {
    drift.push_back(fmt::format("{} is paused (docker unpause {})", member.container, member.container));
    return;
  }
  const bool is_done = service.role == Role::one_shot && container->state == target::RunState::exited && container->exit_code == 0;
  if (!container->running() && !is_done && container->finished < container->created) {
    drift.push_back(fmt::format("{} was never started", member.container));
    return;
  }
  if (!container->running() && !is_done) {
    drift.push_back(fmt::format("{} is stopped (exit code {}, {})", member.container, container->exit_code, age(observed, container->finished)));
    return;
  }
  ++status.running;
  status.has_health = status.has_health || container->health != target::HealthState::none;
  if (container->health == target::HealthState::healthy || container->health == target::HealthState::none) ++status.healthy;
  else drift.push_back(fmt::format("{} is {}", member.container, container->health == target::HealthState::starting ? "still starting" : "unhealthy"));
  if (auto change = altered(observed, service, member, *container); !change.empty() && !is_done) drift.push_back(std::move(change));
  if (container->restart_count > 0) {
    if (container->started > settled(observed)) {
      drift.push_back(fmt::format("{} was restarted by the engine{}, {}", member.container,
                                  container->restart_count == 1 ? std::string{} : fmt::format(" {} times", container->restart_count), age(observed, container->started)));
    }
  }
  // Made and started within moments of each other, unless somebody restarted it.
  else if (container->started - container->created > std::chrono::minutes{2} && service.role == Role::stateless && service.set != 0) {
    const auto kept_before = std::any_of(observed.snapshot.history.begin(), observed.snapshot.history.end(), [&](const auto& entry) {
      return entry.started <= container->started && container->started <= entry.ended;
    });
    if (!kept_before && !all_started_with(observed, *container)) drift.push_back(fmt::format("{} was restarted by hand {}", member.container, age(observed, container->started)));
  }
  const auto up = observed.now - container->started;
  if (!is_done && (!status.up || up < *status.up)) status.up = up;
  for (const auto& port : container->ports) {
    if (port.find("->") != std::string::npos && std::find(status.ports.begin(), status.ports.end(), port) == status.ports.end()) status.ports.push_back(port);
  }
}

// Others' containers in place of the release's own.
void tell_stand_ins(const Observed& observed, Status& status) {
  const auto* recorded = observed.snapshot.current();
  if (recorded == nullptr || !status.release) return;
  if (status.release->number != recorded->number) {
    if (!status.release->adopted) return;
    status.drift.push_back(fmt::format("release {} ({}) was removed, and containers that codops did not make run instead: codops deploy {} {} takes them over",
                                       recorded->number, recorded->version, status.environment, recorded->version));
    return;
  }
  for (const auto& service : status.release->services) {
    const auto* known = recorded->service(service.name);
    if (known == nullptr || known->members == service.members) continue;
    for (const auto& member : service.members) {
      status.drift.push_back(fmt::format("{} was not made by codops and stands in for {}", member.container, known->members.empty() ? service.name : known->members.front().container));
    }
  }
}

}  // namespace

bool Status::healthy() const { return serves_well() && !unfinished; }

bool Status::serves_well() const {
  return release.has_value() && !led_astray && std::all_of(services.begin(), services.end(), [](const ServiceStatus& service) {
           return service.running >= service.wanted && service.healthy >= service.wanted;
         });
}

Status status_of(const Observed& observed, const std::string& project, const std::string& environment, bool old_set_running) {
  Status status;
  status.environment = environment;
  status.now = observed.now;
  status.damaged = observed.snapshot.damaged;
  status.altered_history = release::broken_links(observed.snapshot.history);
  status.release = serving(observed, project);
  for (auto entry = observed.snapshot.history.rbegin(); entry != observed.snapshot.history.rend() && !status.last; ++entry) {
    if (entry->result == "ok") status.last = *entry;
  }
  if (const auto* record = observed.snapshot.unfinished()) {
    const auto plan = record->plan();
    const auto last = plan ? record->last_begun(*plan) : std::nullopt;
    status.unfinished = plan ? fmt::format("{} {} (release {}) {}", plan->verb, plan->version, plan->release,
                                           last ? "is at or died at step " + plan->steps[*last].name : "died before it changed anything")
                             : "a run that left no readable plan";
    // Its own doing is no drift, and what people are served is what counts.
    if (plan && traffic_moved(*plan, observed)) {
      status.release = release::release_from_json(nlohmann::json::parse(plan->context).at("next").dump());
      status.last.reset();
    }
  }
  if (!status.release) return status;
  if (!status.unfinished) tell_stand_ins(observed, status);
  if (status.release->adopted && !is_on_record(observed, *status.release)) status.last.reset();
  std::set<std::string> wanted;
  for (const auto& service : status.release->services) {
    ServiceStatus one{service.name, service.role, static_cast<int>(service.members.size()), 0, 0, false, service.image, service.image_id, {}, {}};
    for (const auto& member : service.members) {
      wanted.insert(member.container);
      if (const auto* container = observed.renamed(member.container)) wanted.insert(container->name);
      compare(observed, *status.release, service, member, one, status.drift);
      status.led_astray = status.led_astray || (service.role == Role::proxy && is_cut_off(observed, member));
    }
    status.services.push_back(std::move(one));
  }
  const auto resting = resting_release(observed, old_set_running);
  std::set<std::string> known;
  for (const auto& [number, kept] : observed.snapshot.releases) {
    for (const auto& service : kept.services) {
      for (const auto& member : service.members) {
        known.insert(member.container);
        if (number == resting) wanted.insert(member.container);
      }
    }
  }
  for (const auto& container : observed.containers) {
    if (wanted.contains(container.name)) continue;
    if (is_left_data(container, *status.release)) {
      if (!status.unfinished) {
        status.left_running.push_back(fmt::format("{} holds data of {}, which this release does not have; docker stop {} where nothing needs it", container.name, container.service, container.name));
      }
      continue;
    }
    // A run that had lost its lock may have made it: no release names it.
    if (const auto token = container.labels.find(label_token); token != container.labels.end() && !known.contains(container.name)) {
      if (!status.unfinished) status.drift.push_back(fmt::format("{} was left by run {}; the next deploy removes it", container.name, token->second));
      continue;
    }
    if (!container.is_up()) continue;
    if (known.contains(container.name)) {
      const auto role = label_of(container, label_role);
      const bool stays = role == to_string(Role::stateful) || role == to_string(Role::proxy);
      if (status.unfinished) continue;
      if (stays) status.by_hand.push_back(fmt::format("{} of another release {} too: docker stop {}", container.name, container.running() ? "runs" : "is paused", container.name));
      else status.drift.push_back(fmt::format("{} of another release {} too", container.name, container.running() ? "runs" : "is paused"));
    } else if (container.labels.count(label_token) == 0) {
      status.drift.push_back(fmt::format("{} was not made by codops", container.name));
    }
  }
  if (!status.unfinished) {
    for (auto& line : other_than_defined(*status.release, observed)) status.by_hand.push_back(std::move(line));
  }
  for (const auto& one : left_by_the_dead(observed)) status.drift.push_back(fmt::format("{} was left by a codops run that was killed; the next changing command removes it", one.name));
  if (auto line = maintenance_drift(observed, *status.release); !status.unfinished && !line.empty()) {
    status.drift.push_back(std::move(line));
    status.led_astray = true;
  } else if (!status.unfinished && leads_elsewhere(observed, *status.release)) {
    status.drift.push_back(observed.upstreams->empty() ? "the proxy's upstream file was removed: it may lead nowhere"
                                                       : "the proxy's upstream file was changed: it leads elsewhere than to this release");
    status.led_astray = true;
  }
  if (!status.unfinished) {
    for (const auto& path : observed.edited) status.drift.push_back(fmt::format("{} inside the proxy was changed by hand", path));
  }
  return status;
}

Status status(Host& host, const Limits& limits) {
  Observed observed;
  std::optional<target::LockState> holder;
  in_parallel({[&] { observed = observe(host.api(), host.store(), host.project(), host.environment().proxy.upstreams, limits); },
               [&] { holder = host.lock("deploy")->inspect(limits); }});
  host.require_owner(observed.snapshot);
  auto found = status_of(observed, host.project(), host.environment().name, host.environment().old_set == settings::OldSet::running);
  found.engine = host.shown();
  if (holder && release::judge(*holder, release::this_process({}), release::process_alive) == release::Verdict::fresh) found.running = release::describe(*holder);
  found.maintenance = observed.snapshot.maintenance && observed.snapshot.maintenance_settled;
  return found;
}

}  // namespace codops::ops
