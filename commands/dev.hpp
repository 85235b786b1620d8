#pragma once
#include <memory>

#include "commands/command.hpp"
#include "commands/services.hpp"
#include "lib/ops/dev/workspace.hpp"

namespace codops::commands {

std::unique_ptr<Command> make_setup_dev();
std::unique_ptr<Command> make_doctor();
std::unique_ptr<Command> make_dev_status();
std::unique_ptr<Command> make_dev_logs();
std::unique_ptr<Command> make_dev_psql();
std::unique_ptr<Command> make_dev_redis_cli();

// What the verbs of development start from: the environment "development", whether or not codops.yaml lists it.
ops::dev::Inputs dev_inputs(Services& services, const std::string& backend);

}  // namespace codops::commands
