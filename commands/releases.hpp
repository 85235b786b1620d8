#pragma once
// The verbs that change or show what runs.
#include <memory>

#include "commands/command.hpp"

namespace codops::commands {

std::unique_ptr<Command> make_deploy();
std::unique_ptr<Command> make_rollback();
std::unique_ptr<Command> make_scale();
std::unique_ptr<Command> make_restart();
std::unique_ptr<Command> make_build();
std::unique_ptr<Command> make_status();
std::unique_ptr<Command> make_history();
std::unique_ptr<Command> make_logs();
std::unique_ptr<Command> make_exec();
std::unique_ptr<Command> make_run();
std::unique_ptr<Command> make_down();
std::unique_ptr<Command> make_maintenance();
std::unique_ptr<Command> make_unlock();
std::unique_ptr<Command> make_resume();
std::unique_ptr<Command> make_abort();

}  // namespace codops::commands
