#pragma once
// Files of a release that can't be put into a container's own layer (a read-only root, a tmpfs over the place): each is mounted from the
// volume that keeps the state.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/release/release.hpp"

namespace codops::ops {

// Adds the mounts of those of `files` that are mounted to the JSON body of POST /containers/create. Failure{data} where the state is gone.
void add_mounts(nlohmann::json& body, const std::vector<release::FileRef>& files, engine::docker::Api& api, const std::string& project, const Limits& limits);

}  // namespace codops::ops
