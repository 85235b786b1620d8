#pragma once
// `codops config …`: rows of the command table.
#include <memory>

#include "commands/command.hpp"

namespace codops::commands {

std::unique_ptr<Command> make_config_show();
std::unique_ptr<Command> make_config_check();
std::unique_ptr<Command> make_config_reference();
std::unique_ptr<Command> make_config_compose();
std::unique_ptr<Command> make_config_manifests();

}  // namespace codops::commands
