#include "lib/ops/down.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/transaction.hpp"

namespace codops::ops {
namespace {

std::string label_filter(const Host& host) { return "com.docker.compose.project=" + host.project(); }

std::string state_name(const Host& host) { return "codops-" + host.project() + "-state"; }

}  // namespace

DownPlan plan_down(Host& host, bool with_volumes, const Limits& limits) {
  DownPlan plan;
  for (const auto& container : host.api().containers({{"label", {label_filter(host)}}}, true, limits)) plan.containers.push_back(container.name);
  for (const auto& network : host.api().networks({{"label", {label_filter(host)}}}, limits)) plan.networks.push_back(network.name);
  if (with_volumes) {
    for (const auto& volume : host.api().volumes({{"label", {label_filter(host)}}}, limits)) plan.volumes.push_back(volume.name);
  }
  plan.text = fmt::format("{} containers, {} networks{}", plan.containers.size(), plan.networks.size(),
                          plan.volumes.empty() ? " (volumes stay)" : fmt::format(" and {} VOLUMES WITH THEIR DATA: {}", plan.volumes.size(), fmt::join(plan.volumes, ", ")));
  plan.json = nlohmann::json{{"exit", 0}, {"containers", plan.containers}, {"networks", plan.networks}, {"volumes", plan.volumes}}.dump();
  return plan;
}

void down(Host& host, const DownPlan& plan, const DownRequest& request, const Limits& limits) {
  Transaction transaction{host, request.command, {request.lock_wait}, limits};
  const auto current = serving(transaction.observed(), host.project());
  // Recorded first: should it die half way, the next command must not believe that the release still serves.
  release::HistoryEntry entry;
  entry.action = "down";
  entry.result = "ok";
  entry.release = current ? current->number : 0;
  entry.version = current ? current->version : std::string{};
  transaction.record(entry, limits);
  RunContext context{host.api(), host.store(), host.reporter(), host.clock()};
  context.traffic.name = traffic_network_name(host.project());
  std::vector<Leaving> leaving;
  for (const auto& name : plan.containers) leaving.push_back({name, 10});
  stop_members(context, leaving, limits);
  for (const auto& name : plan.containers) remove_member(context, name, limits);
  for (const auto& name : plan.networks) host.api().remove_network(name, limits);
  for (const auto& name : plan.volumes) host.api().remove_volume(name, limits);
  if (!request.volumes) return;
  transaction.release_lock();
  host.api().remove_container(state_name(host), true, true, limits);
  host.api().remove_volume(state_name(host), limits);
}

}  // namespace codops::ops
