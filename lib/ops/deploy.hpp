#pragma once
// deploy, scale, restart and rollback on a Docker host.
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

// Failure{failed} while the front shows the page: nothing could prove a set behind it.
void require_no_maintenance(const Host& host, const Observed& observed, const std::string& verb);
// What follows the record: room is made. `began` and `waited` (for images, answers, the lock) of the whole command.
void conclude(Host& host, Transaction& transaction, std::chrono::steady_clock::time_point began, Milliseconds waited, RunResult& run, const Limits& limits);
Milliseconds elapsed_since(const Host& host, std::chrono::steady_clock::time_point start);

DeployResult deploy(Host& host, const DeployRequest& request, const Limits& limits);

DeployResult rollback(Host& host, const RollbackRequest& request, const Limits& limits);

// The plan as --dry-run prints it.
std::string plan_text(const Host& host, const Planned& planned, const std::optional<release::Release>& current);

}  // namespace codops::ops
