#pragma once
// `codops migrate …` and `codops db init`: rows of the command table.
#include <memory>

#include "commands/command.hpp"

namespace codops::commands {

std::unique_ptr<Command> make_migrate_up();
std::unique_ptr<Command> make_migrate_status();
std::unique_ptr<Command> make_migrate_plan();
std::unique_ptr<Command> make_migrate_lint();
std::unique_ptr<Command> make_migrate_verify();
std::unique_ptr<Command> make_migrate_down();
std::unique_ptr<Command> make_migrate_baseline();
std::unique_ptr<Command> make_migrate_resolve();
std::unique_ptr<Command> make_migrate_new();
std::unique_ptr<Command> make_db_init();

}  // namespace codops::commands
