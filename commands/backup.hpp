#pragma once
// `codops backup …` and `codops restore`: rows of the command table.
#include <memory>

#include "commands/command.hpp"

namespace codops::commands {

std::unique_ptr<Command> make_backup();
std::unique_ptr<Command> make_backup_list();
std::unique_ptr<Command> make_backup_show();
std::unique_ptr<Command> make_backup_verify();
std::unique_ptr<Command> make_backup_drill();
std::unique_ptr<Command> make_backup_prune();
std::unique_ptr<Command> make_backup_rm();
std::unique_ptr<Command> make_backup_pin();
std::unique_ptr<Command> make_backup_export();
std::unique_ptr<Command> make_backup_keygen();
std::unique_ptr<Command> make_restore();

}  // namespace codops::commands
