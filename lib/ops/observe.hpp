#pragma once
// Looking at the engine: everything that a plan is decided on, in a handful of calls.
#include "lib/ops/observed.hpp"

namespace codops::engine::docker {
class Api;
}

namespace codops::ops {

std::string traffic_network_name(const std::string& project);

// Containers (not one-off ones), networks, volumes and the state of a project. `upstreams`: the folder in the proxy where codops'
// upstream file is; empty: no proxy.
Observed observe(engine::docker::Api& api, release::ReleaseStore& store, const std::string& project, const std::string& upstreams,
                 const Limits& limits);
// A subnet that is free on the engine: the one that it picks for a throw-away network. Leaves nothing behind.
std::string free_subnet(engine::docker::Api& api, const std::string& project, const std::string& token, const Limits& limits);

}  // namespace codops::ops
