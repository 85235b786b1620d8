#include "lib/ops/transition.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/others.hpp"
#include "lib/ops/upstreams.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using release::Member;
using release::Role;

Json names_of(const std::vector<Member>& members) {
  auto json = Json::array();
  for (const auto& member : members) json.push_back(member.container);
  return json;
}

std::string times(const std::string& service, std::size_t count) {
  return count == 1 ? service : fmt::format("{} ×{}", service, count);
}

bool has(const std::vector<Member>& members, const Member& member) {
  return std::find(members.begin(), members.end(), member) != members.end();
}

bool runs_once(Role role) { return role == Role::stateful || role == Role::exclusive; }

// {"services":[{"service":…,"make":[names],"start":[names],"rejoin":[names],"replace":[names]}]} for the actions start, data and front.
Json service_args(const ServiceChange& change) {
  return {{"service", change.next->name},
          {"make", names_of(change.make)},
          {"start", names_of(change.start)},
          {"rejoin", names_of(change.rejoin)},
          {"replace", names_of(change.leave)},
          {"replaced_restart", change.current != nullptr ? change.current->restart : "no"},
          {"replaced_grace", change.current != nullptr ? change.current->stop_grace_seconds : 10}};
}

// Whoever came or was started again by this plan is watched, whichever way it came.
Json watched_in(const std::vector<const ServiceChange*>& came) {
  auto members = Json::array();
  for (const auto* change : came) {
    for (const auto& member : change->make) members.push_back(member.container);
    for (const auto& member : change->start) members.push_back(member.container);
  }
  return members;
}

// Containers behind the proxy that serve already and go on to.
Json kept_of(const std::vector<ServiceChange>& changes) {
  auto kept = Json::array();
  for (const auto& change : changes) {
    if (change.next->port == 0 || change.next->role == Role::proxy) continue;
    for (const auto& member : change.have) kept.push_back(member.container);
  }
  return kept;
}

UpstreamFile upstreams_of(const release::Release& next, const std::vector<ServiceChange>& changes, const ProxySettings& proxy,
                          bool with_backups) {
  UpstreamFile file{next.number, next.version, proxy.set_connect_timeout, {}};
  for (const auto& change : changes) {
    if (change.next->port == 0 || change.next->role == Role::proxy) continue;
    Upstream upstream{change.next->name, change.next->port, {}, {}, change.next->sticky};
    for (const auto& member : change.next->members) {
      if (!member.address.empty()) upstream.primaries.push_back(member.address);
    }
    if (with_backups && change.next->role == Role::stateless) {
      for (const auto& member : change.leave) {
        if (!member.address.empty()) upstream.backups.push_back(member.address);
      }
    }
    if (!upstream.primaries.empty()) file.upstreams.push_back(std::move(upstream));
  }
  return file;
}

class StepWriter {
 public:
  explicit StepWriter(plan::Plan& plan) : plan_{plan} {}

  plan::Step& add(std::string name, std::string text, Json args, std::string undo, std::string no_undo = {}) {
    plan::Step step;
    step.kind = name;
    step.name = std::move(name);
    step.text = std::move(text);
    step.args = args.dump();
    step.undo = std::move(undo);
    step.no_undo = std::move(no_undo);
    step.phase = plan_.steps.empty() ? plan::Phase::before : plan_.steps.back().phase;
    return plan_.steps.emplace_back(std::move(step));
  }

 private:
  plan::Plan& plan_;
};

void plan_prepare(StepWriter& steps, const std::vector<NamedObject>& networks, const std::vector<NamedObject>& volumes,
                  const Observed& observed) {
  const auto missing = [](const std::vector<NamedObject>& wanted, const std::vector<std::string>& there) {
    auto names = Json::array();
    for (const auto& object : wanted) {
      if (!object.external && std::find(there.begin(), there.end(), object.name) == there.end()) names.push_back(object.name);
    }
    return names;
  };
  const auto absent_networks = missing(networks, observed.networks);
  const auto absent_volumes = missing(volumes, observed.volumes);
  if (absent_networks.empty() && absent_volumes.empty() && observed.traffic.exists) return;
  const auto count = absent_networks.size() + (observed.traffic.exists ? 0 : 1);
  auto text = fmt::format("+ {} network{}", count, count == 1 ? "" : "s");
  if (!absent_volumes.empty()) text += fmt::format(", {} volume{}", absent_volumes.size(), absent_volumes.size() == 1 ? "" : "s");
  Json args{{"networks", absent_networks}, {"volumes", absent_volumes}, {"traffic", nullptr}};
  if (!observed.traffic.exists) args["traffic"] = {{"name", observed.traffic.name}, {"subnet", observed.traffic.subnet}};
  steps.add("prepare", text, std::move(args), "remove networks, keep volumes");
}

// Data that others' containers serve, or that another release left running, and that goes on as it is: taken over by being recorded.
std::vector<const ServiceChange*> taken_over_in(const std::vector<ServiceChange>& changes, const release::Release* recorded) {
  std::vector<const ServiceChange*> taken;
  for (const auto& change : changes) {
    if (change.next->role != Role::stateful || change.current == nullptr || change.have.empty() || change.changes()) continue;
    const bool unrecorded = recorded != nullptr && recorded->service(change.next->name) == nullptr;
    if (unrecorded || is_of_others(*change.current)) taken.push_back(&change);
  }
  return taken;
}

std::string set_text(const std::vector<const ServiceChange*>& changes) {
  std::vector<std::string> parts;
  for (const auto* change : changes) {
    const char sign = change->leave.empty() || !runs_once(change->next->role) ? '+' : '~';
    parts.push_back(fmt::format("{} {}", sign, times(change->next->name, change->make.size() + change->start.size() + change->rejoin.size())));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// What runs of a release that neither serves nor is to serve: somebody started it by hand, or it rested as the old set (old_set: running)
// and its turn is over. Data and the proxy are not touched.
std::vector<std::pair<const release::ServiceRecord*, Member>> stragglers_of(const Observed& observed, const std::optional<release::Release>& current,
                                                                            const release::Release& next, int resting) {
  std::set<std::string> wanted;
  const auto remember = [&](const release::Release& release) {
    for (const auto& service : release.services) {
      for (const auto& member : service.members) wanted.insert(member.container);
    }
  };
  remember(next);
  if (current) remember(*current);
  if (const auto rests = observed.snapshot.releases.find(resting); rests != observed.snapshot.releases.end()) remember(rests->second);
  std::vector<std::pair<const release::ServiceRecord*, Member>> stragglers;
  for (const auto& [number, release] : observed.snapshot.releases) {
    for (const auto& service : release.services) {
      if (service.role == Role::stateful || service.role == Role::proxy) continue;
      for (const auto& member : service.members) {
        const auto* container = observed.container(member.container);
        if (container != nullptr && container->is_up() && wanted.insert(member.container).second) stragglers.emplace_back(&service, member);
      }
    }
  }
  return stragglers;
}

}  // namespace

std::vector<ServiceChange> changes_between(const std::optional<release::Release>& current, const release::Release& next,
                                           const Observed& observed) {
  std::vector<ServiceChange> changes;
  for (const auto& service : next.services) {
    ServiceChange change;
    change.next = &service;
    change.current = current ? current->service(service.name) : nullptr;
    for (const auto& member : service.members) {
      const auto* container = observed.container(member.container);
      const bool served = change.current != nullptr && has(change.current->members, member);
      if (container == nullptr && service.role == Role::one_shot && served && is_pruned(observed, *current, member)) change.have.push_back(member);
      else if (container == nullptr) change.make.push_back(member);
      // A set that rested while another served is asked whether it is ready, and joins again.
      else if (container->running() && rolls(service.role) && change.current != nullptr && !served) change.start.push_back(member);
      else if (service.role == Role::proxy && (container->state == target::RunState::paused || (container->running() && is_cut_off(observed, member)))) change.rejoin.push_back(member);
      else if (container->running()) change.have.push_back(member);
      // A one-shot that ended has done its work.
      else if (service.role == Role::one_shot && container->exit_code == 0) change.have.push_back(member);
      else change.start.push_back(member);
    }
    if (change.current != nullptr) {
      for (const auto& member : change.current->members) {
        const bool stays = has(service.members, member);
        const auto* container = observed.container(member.container);
        if (!stays && container != nullptr && container->is_up()) change.leave.push_back(member);
      }
      change.files_changed = service.role == Role::proxy && change.make.empty() && (service.files != change.current->files || !observed.edited.empty());
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

void plan_steps(plan::Plan& plan, const std::optional<release::Release>& current, const release::Release& next,
                const std::vector<ServiceChange>& changes, const std::vector<std::string>& intruders,
                const std::vector<NamedObject>& networks, const std::vector<NamedObject>& volumes, const ProxySettings& proxy,
                const Observed& observed, const PlanOptions& options) {
  plan.context = Json{{"upstreams", current ? current->upstreams : std::string{}}}.dump();
  StepWriter steps{plan};
  std::vector<const ServiceChange*> data;
  std::vector<const ServiceChange*> tasks;
  std::vector<const ServiceChange*> rolling;
  std::vector<const ServiceChange*> swapped;
  std::vector<const ServiceChange*> came;  // and are to stay
  const ServiceChange* front = nullptr;
  for (const auto& change : changes) {
    const auto role = change.next->role;
    if (role == Role::proxy) front = &change;
    if (!change.changes()) {
      plan.untouched.push_back(change.next->name);
      continue;
    }
    const bool comes = !change.make.empty() || !change.start.empty();
    if (comes && role != Role::one_shot) came.push_back(&change);
    if (role == Role::stateful && comes) data.push_back(&change);
    else if (role == Role::one_shot && comes) tasks.push_back(&change);
    else if (role == Role::exclusive && comes) swapped.push_back(&change);
    else if (role == Role::stateless && comes) rolling.push_back(&change);
    if (runs_once(role) && comes && !change.leave.empty()) {
      plan.downtime.push_back(fmt::format("{} can't run twice: it is stopped before its new container starts", change.next->name));
    }
  }
  // A service that the next release no longer has leaves with the old set.
  std::vector<Member> leaving;
  Json leaving_args = Json::array();
  const bool rests = options.old_set_running && (options.verb == "deploy" || options.verb == "rollback");
  const auto leave = [&](const release::ServiceRecord& service, const std::vector<Member>& members, bool resting) {
    for (const auto& member : members) {
      leaving.push_back(member);
      leaving_args.push_back({{"service", service.name},
                              {"container", member.container},
                              {"address", member.address},
                              {"grace", service.stop_grace_seconds},
                              {"restart", service.restart},
                              {"rest", resting}});
    }
  };

  const auto resting = resting_release(observed, options.old_set_running);
  const bool led_astray = !proxy.service.empty() && current && leads_elsewhere(observed, *current);
  const bool nothing_changes = !led_astray && std::none_of(changes.begin(), changes.end(), [](const auto& change) { return change.changes(); }) &&
                               options.migrate.empty() && intruders.empty() && stragglers_of(observed, current, next, resting).empty();
  if (nothing_changes) {
    // Nothing else would record it.
    if (const auto taken = taken_over_in(changes, observed.snapshot.current()); !taken.empty()) {
      std::vector<std::string> names;
      auto list = Json::array();
      for (const auto* change : taken) {
        names.push_back(change->next->name);
        list.push_back(service_args(*change));
      }
      steps.add("data", fmt::format("{} taken over as it runs", fmt::join(names, ", ")), {{"services", std::move(list)}}, "nothing to undo").kind = "start";
      plan.context = Json{{"upstreams", current->upstreams}}.dump();
    }
    return;
  }

  for (const auto& hook : options.pre_hooks) {
    steps.add(fmt::format("hook-{}", plan.steps.size() + 1), hook, {{"hook", hook}, {"index", plan.steps.size()}}, "",
              "what a hook does is its own").kind = "hook";
  }
  plan_prepare(steps, networks, volumes, observed);
  const auto list = [](const std::vector<const ServiceChange*>& group) {
    auto json = Json::array();
    for (const auto* change : group) json.push_back(service_args(*change));
    return json;
  };
  const bool replaces = std::any_of(data.begin(), data.end(), [](const auto* change) { return !change->leave.empty(); });
  const auto back_up = [&] {
    if (!options.backup.empty()) steps.add("backup", options.backup, Json::object(), "", "what it has published stays");
  };
  // Of a database that is about to be another one, by the one that runs.
  if (replaces) back_up();
  if (!data.empty()) {
    auto& step = steps.add("data", set_text(data), {{"services", list(data)}}, replaces ? "remove, start the old one" : "remove, keep volumes");
    step.kind = "start";
    if (replaces) step.phase = plan::Phase::moved;
  }
  if (!replaces) back_up();
  if (!options.migrate.empty()) steps.add("migrate", options.migrate, Json::object(), "", "committed migrations stay");
  if (!tasks.empty()) steps.add("task", set_text(tasks), {{"services", list(tasks)}}, "remove").kind = "start";
  const bool has_proxy = front != nullptr && !proxy.service.empty();
  if (!rolling.empty()) {
    auto& step = steps.add("start", set_text(rolling), {{"services", list(rolling)}}, "remove");
    // Without a proxy the name itself is what callers reach: joining is the move.
    if (!has_proxy) step.phase = plan::Phase::moved;
  }
  if (!swapped.empty()) {
    auto& step = steps.add("swap", set_text(swapped), {{"services", list(swapped)}}, "start the old one");
    step.kind = "start";
    step.phase = plan::Phase::moved;
  }
  for (const auto& change : changes) {
    if (change.next->role == Role::stateless) leave(change.current != nullptr ? *change.current : *change.next, change.leave, rests);
  }
  if (current) {
    for (const auto& service : current->services) {
      if (next.service(service.name) != nullptr) continue;
      if (service.role == Role::stateful) {
        plan.warnings.push_back(fmt::format("{} is no longer in the compose file; it holds data and is left running", service.name));
        continue;
      }
      std::vector<Member> running;
      for (const auto& member : service.members) {
        const auto* container = observed.container(member.container);
        if (container != nullptr && container->running()) running.push_back(member);
      }
      leave(service, running, rests && rolls(service.role));
    }
  }
  const auto settled = has_proxy ? render(upstreams_of(next, changes, proxy, false)) : std::string{};
  bool switched = false;
  if (has_proxy) {
    const auto during = render(upstreams_of(next, changes, proxy, true));
    const auto before = current ? current->upstreams : std::string{};
    const bool comes = !front->make.empty() || !front->start.empty() || !front->rejoin.empty();
    if (comes) {
      auto& step = steps.add("front", set_text({front}), {{"services", list({front})}, {"upstreams", during}, {"keep", kept_of(changes)}},
                             front->leave.empty() ? "remove" : "start the old one");
      step.phase = plan::Phase::moved;
      if (!front->leave.empty()) {
        plan.downtime.push_back(fmt::format("the proxy {} is recreated: its image or definition changed", front->next->name));
      }
      switched = true;
    } else if (effective(during) != effective(before) || led_astray || front->files_changed) {
      std::vector<std::string> what;
      for (const auto* change : rolling) what.push_back(change->next->name);
      if (front->files_changed) what.push_back("configuration of " + front->next->name);
      if (what.empty()) what.emplace_back("upstreams");
      auto& step = steps.add("switch", fmt::format("~ {} → release {}", fmt::join(what, ", "), next.number),
                             {{"proxy", front->next->members.empty() ? "" : front->next->members.front().container},
                              {"to", during}, {"back", before}, {"files", front->files_changed}, {"drain_back", true}, {"keep", kept_of(changes)}},
                             "switch back");
      step.phase = plan::Phase::moved;
      switched = true;
    }
    if (switched) {
      steps.add("prove", "through the front door", {{"fresh", comes}}, "").mutates = false;
      plan.steps.back().phase = plan::Phase::proven;
    }
    if (switched || !leaving.empty() || !came.empty()) {
      const bool monitored = options.monitor.count() > 0 && (!leaving.empty() || !came.empty() || comes);
      if (monitored) {
        const auto text = leaving.empty() ? format_duration(options.monitor)
                                          : fmt::format("{}, release {} still running as the backup", format_duration(options.monitor), plan.from);
        steps.add("monitor", text, {{"members", watched_in(came)}, {"milliseconds", options.monitor.count()}}, "").phase = plan::Phase::proven;
      }
      if (effective(during) != effective(settled)) {
        // Where a stop follows, it waits for the new workers.
        steps.add("settle", fmt::format("~ release {} alone", next.number),
                  {{"proxy", front->next->members.empty() ? "" : front->next->members.front().container},
                   {"to", settled}, {"back", during}, {"files", false}, {"later", !leaving.empty()}},
                  "switch back").kind = "switch";
      }
      if (switched && !leaving.empty()) {
        steps.add("drain", "requests in flight on the old set end", {{"proxy", front->next->members.empty() ? "" : front->next->members.front().container}}, "").mutates = false;
      }
    }
  } else if (!came.empty()) {
    if (options.monitor.count() > 0) {
      steps.add("monitor", format_duration(options.monitor), {{"members", watched_in(came)}, {"milliseconds", options.monitor.count()}}, "");
    }
    plan.steps.back().phase = plan::Phase::proven;
  }
  std::map<std::string, std::size_t> left, stopped;
  for (const auto& entry : leaving_args) ++(entry.at("rest").get<bool>() == rests ? left : stopped)[entry.at("service").get<std::string>()];
  for (const auto& [service, member] : stragglers_of(observed, current, next, 0)) {
    leave(*service, {member}, false);
    ++stopped[service->name];
  }
  if (!leaving.empty() || !intruders.empty()) {
    const auto listed = [](const std::map<std::string, std::size_t>& counts) {
      std::vector<std::string> parts;
      for (const auto& [service, count] : counts) parts.push_back(times(service, count));
      return fmt::format("{}", fmt::join(parts, ", "));
    };
    std::string text;
    if (!left.empty()) text = fmt::format("~ {} of release {}, {}", listed(left), plan.from, rests ? "left running for rollback" : "kept for rollback");
    if (!stopped.empty()) text += fmt::format("{}~ {} that no longer serve, stopped", text.empty() ? "" : "; ", listed(stopped));
    if (!intruders.empty()) {
      text += fmt::format("{}- {} (not made by codops)", text.empty() ? "" : "; ", fmt::join(intruders, ", "));
    }
    auto& step = steps.add("stop", text,
                           {{"members", leaving_args}, {"remove", intruders}}, "start");
    step.phase = plan::Phase::proven;
  }
  plan.context = Json{{"upstreams", settled}}.dump();
}

}  // namespace codops::ops
