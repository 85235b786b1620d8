#pragma once
// The server of a drill on a Docker host: a container of its own, which is no part of the project. It ends with this process, however that ends: its
// first process lives as long as our connection to the engine does, and the engine then removes it with its volumes.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "lib/ops/drill_server.hpp"
#include "lib/ops/host.hpp"
#include "lib/target/state.hpp"

namespace codops::engine::docker {
struct ContainerSummary;
}

namespace codops::ops {

// Serves when this returns. `image`: a name, pulled where the engine has none of it, or the id of one that it has; `shown`: as it is called. What
// drills that were killed left is removed first. Failure{unavailable}: no such image, or one that does not serve, with its last log lines.
std::unique_ptr<DrillServer> start_drill_server(Host& host, const std::string& image, const std::string& shown, const Limits& limits);

// Whether a drill's container is left by one that is no more: it has ended (an engine that crashed did not see to it), or its process is known to be
// gone, or nothing is known of that and it was made long ago and never started. `now`: the engine's clock.
bool is_left(const engine::docker::ContainerSummary& container, const target::LockOwner& here, WallTime now,
             const std::function<bool(std::int64_t pid, std::uint64_t start_time)>& process_alive);

}  // namespace codops::ops
