#pragma once
// Who answers at the front: nginx's master and its workers, from /proc where the engine is a local one, else from the engine.
#include <optional>
#include <string>

#include "lib/engine/docker/local_process.hpp"
#include "lib/ops/run_context.hpp"

namespace codops::ops {

// nullopt: not to be had here, or nginx is not the container's first process (an init, a shell).
std::optional<engine::docker::LocalProcess> nginx_master(RunContext& context, const std::string& proxy, const Limits& limits);

}  // namespace codops::ops
