#include "lib/ops/bring_back.hpp"

#include <fmt/format.h>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {

using release::Role;

std::vector<std::string> bring_back(RunContext& context, const release::Release& release,
                                    const std::function<bool(const release::ServiceRecord&, const release::Member&)>& which, const Limits& limits) {
  std::vector<std::string> names;
  std::vector<Awaited> awaited;
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
  for (const auto& service : release.services) {
    if (service.role == Role::one_shot) continue;
    for (const auto& member : service.members) {
      if (!which(service, member)) continue;
      const auto details = context.api.find_container(member.container, limits);
      const bool reached = !details || member.address.empty() || details->networks.count(context.traffic.name) != 0;
      if (details && details->state == target::RunState::running && reached) continue;
      if (details) revive_member(context, member.container, service.restart, member.address, rolls(service.role) ? service.name : std::string{}, limits);
      else remake(service, member);
      names.push_back(member.container);
      awaited.push_back({&service, member});
    }
  }
  wait_ready(context, awaited, [](const std::string&) {}, limits);
  for (const auto& one : awaited) {
    if (rolls(one.service->role)) join_traffic(context, *one.service, one.member, limits);
  }
  return names;
}

}  // namespace codops::ops
