#pragma once
// Who is on which network under which names, and what networks and volumes the project wants. Pure: the compose file and the settings alone.
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/ops/desired.hpp"
#include "lib/settings/environment.hpp"

namespace codops::ops {

// The name on the engine of a network that the compose file calls `key`: "default" → "shop_default".
const std::string& network_name(const compose::Project& project, const std::string& key);

// The keys of the networks where a rolling service has its names from its start on: somebody asks for them who is not on the traffic network.
std::vector<std::string> asked_networks(const compose::Project& project, const compose::Service& service, release::Role role, const settings::Environment& environment);

// ServiceRecord::networks: a JSON object, the network's name → its endpoint's settings. `asked` as above.
std::string network_endpoints(const compose::Project& project, const compose::Service& service, release::Role role, const std::vector<std::string>& asked);

// What else a rolling service is called, on whatever network.
std::vector<std::string> aliases_of(const compose::Service& service);

// The project's networks and volumes as the engine's API wants them, with compose's labels.
std::vector<NamedObject> wanted_networks(const compose::Project& project);
std::vector<NamedObject> wanted_volumes(const compose::Project& project);

}  // namespace codops::ops
