#pragma once
// `codops health-check`: a row of the command table.
#include <memory>

#include "commands/command.hpp"

namespace codops::commands {

std::unique_ptr<Command> make_health_check();

}  // namespace codops::commands
