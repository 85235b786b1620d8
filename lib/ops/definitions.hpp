#pragma once
// What networks and volumes were defined as: neither can be changed once it is there, so a difference is told.
#include "lib/engine/docker/types.hpp"
#include "lib/ops/desired.hpp"
#include "lib/ops/observed.hpp"

namespace codops::ops {

// "network shop_default" → {"driver": "bridge", "internal": "false", …}; of options and labels a hash, for they may hold a password.
// External ones are somebody else's.
release::Definitions definitions_of(const std::vector<NamedObject>& networks, const std::vector<NamedObject>& volumes);
// The same of what is on the engine.
void add_definition(release::Definitions& there, const engine::docker::NetworkDetails& network);
void add_definition(release::Definitions& there, const engine::docker::VolumeDetails& volume);

// A line for each that is on the engine and is another one: what differs, and what makes it anew.
std::vector<std::string> other_than_defined(const release::Release& release, const Observed& observed);

}  // namespace codops::ops
