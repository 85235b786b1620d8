#pragma once
// Containers of a release: making, starting, joining, stopping and removing them. Every call bears being repeated.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/engine/docker/types.hpp"
#include "lib/ops/run_context.hpp"

namespace codops::ops {

// Creates the container with its files and networks; stateless ones stay off the traffic network until they join it.
// One of that name made by an earlier, dead attempt of this very release is replaced.
void make_member(RunContext& context, const release::ServiceRecord& service, const release::Member& member, const Limits& limits);
// Of a stateful service, before it starts: Failure{failed} where another container writes its data.
void require_alone(RunContext& context, const release::ServiceRecord& service, const engine::docker::ContainerDetails& details, const Limits& limits);
void start_member(RunContext& context, const release::ServiceRecord& service, const release::Member& member, const Limits& limits);
// Gives it its pinned address and, for rolling services, the service's name on the traffic network.
void join_traffic(RunContext& context, const release::ServiceRecord& service, const release::Member& member, const Limits& limits);
// Restart policy no, stop, off the traffic network: kept for rollback. In parallel.
struct Leaving {
  std::string container;
  int grace_seconds{10};
};
std::size_t stop_members(RunContext& context, const std::vector<Leaving>& members, const Limits& limits);
// Before the old set goes: every rolling container of the release runs where traffic reaches it. Failure{failed} names one that doesn't.
void require_reachable(RunContext& context, const release::Release& release, const Limits& limits);
// It goes on running where no traffic reaches it; start_member and join_traffic bring it back.
void rest_member(RunContext& context, const std::string& container, const Limits& limits);
// Whether the engine may still be ending it: it runs, and the restart policy that the release gives it was taken away before its stop.
// The engine goes on with a stop whose caller has died, to the SIGKILL after the grace time.
bool stop_under_way(const RunContext& context, const engine::docker::ContainerDetails& details, const std::string& restart);
// The reverse of stop_members, or of rest_member, for one container. One whose stop is under way is ended first. Whether it was started.
bool revive_member(RunContext& context, const std::string& container, const std::string& restart, const std::string& address,
                   const std::string& alias, const Limits& limits);
// Absent is fine.
void remove_member(RunContext& context, const std::string& container, const Limits& limits);
// Puts the release's files into a container's layer, but for those that are mounted. `folders`: where something else may be in the way of one.
void put_files(RunContext& context, const std::string& container, const std::vector<release::FileRef>& files, const Limits& limits, const std::vector<std::string>& folders = {});

bool rolls(release::Role role);
// A container by the name that it was made with: one that somebody renamed gets its name again.
std::optional<engine::docker::ContainerDetails> find_member(RunContext& context, const std::string& name, const Limits& limits);
// Of ServiceRecord::networks: {"Aliases": […], "IPAMConfig": {"IPv4Address": …}}.
engine::docker::EndpointSpec endpoint_from(const nlohmann::json& endpoint);
// The networks of its service that somebody took it off; traffic's is join_traffic's.
void rejoin(RunContext& context, const release::ServiceRecord& service, const engine::docker::ContainerDetails& container, const Limits& limits);
// "on-failure:5" → "on-failure"; an engine says both "no" and nothing for none.
std::string policy_name(const std::string& policy);
// The restart policy that the release gives it.
void keep_running(RunContext& context, const release::ServiceRecord& service, const release::Member& member, const Limits& limits);

}  // namespace codops::ops
