#pragma once
// deploy, scale and restart on a Docker host.
#include <functional>
#include <optional>
#include <string>

#include "lib/ops/companions.hpp"
#include "lib/ops/requests.hpp"
#include "lib/ops/transaction.hpp"

namespace codops::ops {

// Asks where the environment is protected or requests may fail; throws Failure{failed} for a no.
void require_consent(const Host& host, const Planned& planned, bool allow_downtime,
                     const std::function<bool(const std::string&)>& confirm);

DeployResult deploy(Host& host, const DeployRequest& request, const Limits& limits);

DeployResult rollback(Host& host, const RollbackRequest& request, const Limits& limits);

// The plan as --dry-run prints it.
std::string plan_text(const Host& host, const Planned& planned, const std::optional<release::Release>& current);

}  // namespace codops::ops
