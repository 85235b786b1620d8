#pragma once
#include "commands/services.hpp"
#include "lib/health/convention.hpp"
#include "lib/settings/environment.hpp"

namespace codops::commands {

// Those that codops.yaml lists, else by convention: each workload of the release that serves, the database, the front door.
health::Convention checks_of_cluster(Services& services, const settings::Environment& environment, health::BackupAge backup_age, const Limits& limits);

}  // namespace codops::commands
