#include "lib/ops/bring_back.hpp"

#include <fmt/format.h>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {

using release::Role;

std::vector<std::string> bring_back(RunContext& context, const release::Release& release,
                                    const std::function<bool(const release::ServiceRecord&, const release::Member&)>& which, Booting booting,
                                    const Limits& limits) {
  std::vector<std::string> names;
  std::vector<Awaited> awaited;
  std::set<std::string> woken;  // services
  std::optional<RunContext> as_it_was;
  const auto remake = [&](const release::ServiceRecord& service, const release::Member& member) {
    if (!service.has_spec) {
      throw Failure{Exit::failed, fmt::format("{} was removed meanwhile, and codops did not make it", member.container), "docker compose up -d " + service.name};
    }
    if (!as_it_was) {
      as_it_was.emplace(context);
      as_it_was->next = release;
      as_it_was->specs = context.store.load_specs(release, limits);
      as_it_was->blobs.clear();
    }
    make_member(*as_it_was, service, member, limits);
    start_member(*as_it_was, service, member, limits);
  };
  const auto settle = [&] {
    wait_ready(context, awaited, [](const std::string&) {}, limits);
    for (const auto& one : awaited) {
      if (rolls(one.service->role)) join_traffic(context, *one.service, one.member, limits);
    }
    awaited.clear();
  };
  const auto depends_on = [](const release::ServiceRecord& service, const std::string& name) {
    return std::find(service.depends_on.begin(), service.depends_on.end(), name) != service.depends_on.end();
  };
  for (const auto& service : release.services) {
    if (service.role == Role::one_shot) continue;
    if (std::any_of(awaited.begin(), awaited.end(), [&](const Awaited& one) { return depends_on(service, one.service->name); })) settle();
    // One that ran on without what it depends on gets the time to find it again.
    const bool bereft = std::any_of(woken.begin(), woken.end(), [&](const std::string& name) { return depends_on(service, name); });
    for (const auto& member : service.members) {
      if (!which(service, member)) continue;
      const auto details = find_member(context, member.container, limits);
      const bool crashed_before = context.crashed_before.contains(member.container);
      if (crashed_before && details && details->state == target::RunState::restarting) continue;
      if (details) rejoin(context, service, *details, limits);
      const bool reached = !details || member.address.empty() || details->networks.count(context.traffic.name) != 0;
      if (details && details->state == target::RunState::running && reached && !stop_under_way(context, *details, service.restart)) {
        const bool unready = bereft || details->health == target::HealthState::starting;
        const bool revived = context.revived.contains(member.container) && !crashed_before;
        if (revived || (booting == Booting::awaited && unready)) awaited.push_back({&service, member, bereft || !revived});
        continue;
      }
      if (details && details->state != target::RunState::running) require_alone(context, service, *details, limits);
      if (details) revive_member(context, member.container, service.restart, member.address, rolls(service.role) ? service.name : std::string{}, limits);
      else remake(service, member);
      names.push_back(member.container);
      woken.insert(service.name);
      if (!crashed_before) awaited.push_back({&service, member});
    }
  }
  settle();
  return names;
}

std::set<std::string> needed_for_traffic(const release::Release& release) {
  std::set<std::string> needed;
  std::vector<const release::ServiceRecord*> open;
  for (const auto& service : release.services) {
    if (rolls(service.role)) open.push_back(&service);
  }
  while (!open.empty()) {
    const auto* service = open.back();
    open.pop_back();
    if (service->role == Role::proxy || !needed.insert(service->name).second) continue;
    for (const auto& name : service->depends_on) {
      if (const auto* dependency = release.service(name)) open.push_back(dependency);
    }
  }
  return needed;
}

std::vector<std::string> bring_back_traffic(RunContext& context, const Limits& limits) {
  if (!context.current) return {};
  auto release = *context.current;
  for (auto& service : release.services) {
    const auto* next = context.next.service(service.name);
    if (rolls(service.role) || next == nullptr || next->members.empty() || next->members == service.members) continue;
    if (context.api.find_container(next->members.front().container, limits)) service = *next;
  }
  const auto needed = needed_for_traffic(release);
  return bring_back(context, release, [&](const auto& service, const auto&) { return needed.contains(service.name); }, Booting::awaited, limits);
}

}  // namespace codops::ops
