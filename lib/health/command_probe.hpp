#pragma once
// A command on the event loop. Cut, all that it started ends with it, whatever its process group; also when codops is killed.
#include <functional>
#include <memory>

#include "lib/health/check.hpp"

namespace codops::health {

// `done` comes once, on the loop; the probe must not be destroyed inside it.
std::unique_ptr<io::Probe> start_command_probe(io::EventLoop& loop, const CommandCheck& check, std::function<void(Finding)> done);

}  // namespace codops::health
