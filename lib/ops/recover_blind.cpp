#include "lib/ops/recover_blind.hpp"

#include "lib/engine/docker/api.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/proxy.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {
namespace {

using release::Role;

// Containers of the run that no release with a good entry in the history names.
std::vector<const ObservedContainer*> made_by(const Observed& observed, const std::string& token) {
  std::set<std::string> served;
  for (const auto& entry : observed.snapshot.history) {
    const auto found = observed.snapshot.releases.find(entry.release);
    if (entry.result != "ok" || found == observed.snapshot.releases.end()) continue;
    for (const auto& service : found->second.services) {
      for (const auto& member : service.members) served.insert(member.container);
    }
  }
  std::vector<const ObservedContainer*> made;
  for (const auto& container : observed.containers) {
    const auto label = container.labels.find(label_token);
    if (label != container.labels.end() && label->second == token && !served.contains(container.name)) made.push_back(&container);
  }
  return made;
}

bool is_rolling(const ObservedContainer& container) {
  const auto role = container.labels.find(label_role);
  return role != container.labels.end() && role->second == to_string(Role::stateless);
}

}  // namespace

int recover_blind(RunContext& context, const Observed& observed, const std::string& run, const Limits& limits) {
  const auto made = made_by(observed, run.substr(run.rfind('-') + 1));
  // What can't run twice must be out of the way before the one of before can come back.
  for (const auto* container : made) {
    if (!is_rolling(*container)) remove_member(context, container->name, limits);
  }
  if (context.current) {
    std::vector<Awaited> revived;
    std::string proxy;
    for (const auto& service : context.current->services) {
      if (service.role == Role::one_shot) continue;
      for (const auto& member : service.members) {
        const auto* container = observed.container(member.container);
        if (container == nullptr) continue;
        if (service.role == Role::proxy) proxy = member.container;
        if (revive_member(context, member.container, service.restart, member.address, rolls(service.role) ? service.name : std::string{}, limits)) revived.push_back({&service, member});
      }
    }
    wait_ready(context, revived, [](const std::string&) {}, limits);
    if (!proxy.empty() && !context.proxy.upstreams.empty() && !context.current->upstreams.empty()) {
      const auto* service = context.current->service(context.proxy.service);
      const auto leaving = switch_upstreams(context, proxy, context.current->upstreams, service == nullptr ? std::vector<release::FileRef>{} : service->files, limits);
      workers_gone(context, proxy, leaving, Deadline::after(context.drain), limits);
    }
  }
  for (const auto* container : made) {
    if (is_rolling(*container)) remove_member(context, container->name, limits);
  }
  return static_cast<int>(made.size());
}

}  // namespace codops::ops
