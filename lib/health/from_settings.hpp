#pragma once
// `health.checks` of codops.yaml as checks. Pure.
#include "lib/health/check.hpp"
#include "lib/settings/health.hpp"

namespace codops::health {

// What a check needs from outside. An empty function: such a check is answered with "unknown" and why.
struct Wiring {
  std::function<std::optional<std::string>(const std::string& name)> variable;  // of the environment's files
  std::function<void(const std::string& host, std::uint16_t port, io::Via& via)> reach;  // a service inside, from here
  ListContainers containers;
  std::function<AskWorkload(const std::string& name)> workload;
  std::string no_workload;  // why there is none
  BackupAge backup_age;
};

// Throws Failure{config} with the check's name for what can't be understood. A variable that is not set, or holds what can't be read,
// makes the check unknown instead.
Check check_from(const settings::HealthCheck& described, const settings::Health& all, const Wiring& wiring);

// Those named, and whatever they come after. Throws Failure{usage} for an unknown name.
std::vector<Check> select(std::vector<Check> checks, const std::vector<std::string>& names);

}  // namespace codops::health
