#pragma once
// Volumes that nobody named: an image declares them (VOLUME), or the compose file only says where they are mounted. What a service that can't
// run twice wrote there goes over to its next container, as with docker compose. Mounted by name there, so that no removal of that
// container takes it.
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "lib/ops/run_context.hpp"
#include "lib/plan/plan.hpp"

namespace codops::ops {

// Given by the engine, not by people.
bool is_unnamed(const ObservedMount& mount);
bool keeps_unnamed(release::Role role);

// Adds to a container's definition those of its predecessor: the one that serves, else the newest that is there.
void carry_volumes(RunContext& context, const release::ServiceRecord& service, const release::Member& member, nlohmann::json& body, const Limits& limits);
// Says in the plan which services have some and get a new container.
void note_carried(plan::Plan& plan, const std::optional<release::Release>& current, const release::Release& next, const Observed& observed);

}  // namespace codops::ops
