#pragma once
// The checks of an environment: those that codops.yaml lists, else those found by convention.
#include <memory>

#include "commands/services.hpp"
#include "lib/health/convention.hpp"

namespace codops::commands {

// Every container of the engine that the environment (or, when null, DOCKER_HOST) names; of `project` only, unless empty. An
// address that can't be read is told when it is asked.
health::ListContainers containers_of_engine(Services& services, const settings::Environment* environment, std::string project);

// `limits`: for the engine's answers that finding them takes.
health::Convention checks_of(Services& services, const settings::Environment& environment, const Limits& limits);

}  // namespace codops::commands
