#include "lib/ops/surroundings.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/deploy_plan.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/networks.hpp"

namespace codops::ops {
namespace {

using release::Role;

nlohmann::json endpoints_of(const release::ServiceRecord& service) {
  return service.networks.empty() ? nlohmann::json::object() : nlohmann::json::parse(service.networks);
}

void connect(RunContext& context, const TakenOff& one, const Limits& limits) {
  if (one.network == context.traffic.name) return join_traffic(context, *one.service, one.member, limits);
  context.require_lock();
  context.api.connect_network(one.network, one.member.container, endpoint_from(endpoints_of(*one.service).at(one.network)), limits);
}

}  // namespace

Surroundings missing_around(const release::Release& current, const Observed& observed) {
  Surroundings missing;
  const bool moving = observed.snapshot.unfinished() != nullptr;
  bool any = false;
  bool pinned = false;
  for (const auto& service : current.services) {
    if (service.role == Role::one_shot) continue;
    for (const auto& member : service.members) {
      const auto* container = observed.container(member.container);
      any = any || container != nullptr;
      pinned = pinned || !member.address.empty();
      if (container == nullptr || !container->running() || (moving && rolls(service.role))) continue;
      const auto endpoints = endpoints_of(service);
      for (const auto& [network, endpoint] : endpoints.items()) {
        if (!container->addresses.contains(network)) missing.off.push_back({&service, member, network});
      }
      if (!member.address.empty() && !container->addresses.contains(observed.traffic.name)) missing.off.push_back({&service, member, observed.traffic.name});
      if (service.has_spec && !rolls(service.role) && !moving && policy_name(container->restart_policy) != policy_name(service.restart)) {
        missing.policies.push_back({&service, member, {}});
      }
    }
  }
  if (!any) return {};  // all of it is gone: a deploy makes it
  for (const auto& network : networks_of(current)) {
    if (network.external) continue;  // whoever made it knows what it has to be
    if (std::find(observed.networks.begin(), observed.networks.end(), network.name) == observed.networks.end()) missing.networks.push_back(network.name);
  }
  missing.traffic = pinned && !observed.traffic.exists;
  return missing;
}

void put_right(RunContext& context, const Surroundings& missing, const Limits& limits) {
  const auto attempt = [&](const std::string& what, const char* mended, const auto& act) {
    context.require_lock();
    try {
      act();
      context.reporter.note(fmt::format("{}: {}", what, mended));
    } catch (const Failure& failure) {
      if (failure.code() != Exit::failed) throw;
      context.reporter.warn(fmt::format("{}, and that could not be put right: {}", what, failure.message()));
    }
  };
  for (const auto& name : missing.networks) {
    attempt(fmt::format("the network {} was gone", name), "made again", [&] { make_network(context, name, limits); });
  }
  if (missing.traffic && !context.traffic.subnet.empty()) {
    attempt(fmt::format("the network {} was gone", context.traffic.name), "made again", [&] { make_traffic(context, context.traffic.subnet, limits); });
  }
  for (const auto& one : missing.off) {
    attempt(fmt::format("{} had been taken off the network {}", one.member.container, one.network), "it is on it again", [&] { connect(context, one, limits); });
  }
  for (const auto& one : missing.policies) {
    attempt(fmt::format("{} had another restart policy", one.member.container), "it has the release's again", [&] { keep_running(context, *one.service, one.member, limits); });
  }
}

}  // namespace codops::ops
