#pragma once
// What the compose file wants of a service's container, and what of it is there. Nothing here changes anything.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/dev/containers.hpp"

namespace codops::ops::dev {

// On each container that codops made: a hash of its whole definition.
constexpr std::string_view hash_label = "codops.dev.config";

engine::docker::Filters of_project(const Workspace& workspace, const std::string& service = {});
std::string container_name(const Workspace& workspace, const compose::Service& service);
// The service's container; beside it there may be the one before it, which a run that was killed had no time to remove.
std::optional<engine::docker::ContainerDetails> find_container_of(const Workspace& workspace, const std::string& service, const Limits& limits);

using Endpoints = std::vector<std::pair<std::string, engine::docker::EndpointSpec>>;  // by the network's name
Endpoints endpoints_of(const Workspace& workspace, const compose::Service& service);
// Those that a container was not joined to: its maker was killed before it came to that.
Endpoints missing_endpoints(const Workspace& workspace, const compose::Service& service, const engine::docker::ContainerDetails& details);

// The body of the engine's create call, without image, labels of the project and networks.
nlohmann::json body_of(const Workspace& workspace, const compose::Service& service);
std::string hash_of(const Workspace& workspace, const compose::Service& service);
// Made by docker compose, or by codops from another definition?
bool is_stale(const Workspace& workspace, const compose::Service& service, const engine::docker::ContainerDetails& details);

bool has_healthcheck(const compose::Service& service, const engine::docker::ContainerDetails& details);
// Is a container that ended with 0 done? `must`: another service waits for its end. `may`: nobody restarts it, nobody asks it, it publishes
// nothing; so it is a job, unless `--down` has stopped it.
enum class JobEnd { never, may, must };
// `container`: the id; empty: there is none yet.
JobEnd ending_of(const Workspace& workspace, const std::string& service, const std::string& container, const scaffold::dev::Ledger& ledger);
bool is_up(const compose::Service& service, const engine::docker::ContainerDetails& details, JobEnd ending);
std::string state_text(const engine::docker::ContainerDetails& details);  // "healthy", "exited with 1"

}  // namespace codops::ops::dev
