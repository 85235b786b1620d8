#pragma once
// The backup that a deploy takes before it migrates, by the environment's own store, keys and rules.
#include <string>

#include "commands/services.hpp"
#include "lib/ops/requests.hpp"

namespace codops::commands {

// Returns what to show: label and size, or that one is fresh enough (backup.fresh_for). Throws: the deploy stops.
std::string backup_before_deploy(Services& services, const std::string& environment, const ops::BackupSubject& database, const Limits& limits);

}  // namespace codops::commands
