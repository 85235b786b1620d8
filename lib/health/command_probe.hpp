#pragma once
// A command on the event loop. Cut, its whole process group is dead before the probe is gone.
#include <functional>
#include <memory>

#include "lib/health/check.hpp"

namespace codops::health {

// `done` comes once, on the loop; the probe must not be destroyed inside it.
std::unique_ptr<io::Probe> start_command_probe(io::EventLoop& loop, const CommandCheck& check, std::function<void(Finding)> done);

}  // namespace codops::health
