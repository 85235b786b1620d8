#pragma once
// deploy, scale and restart on a Docker host.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/companions.hpp"
#include "lib/ops/transaction.hpp"

namespace codops::ops {

struct DeployRequest {
  std::string verb{"deploy"};
  std::string version;                          // empty for scale and restart: the release that serves
  std::map<std::string, std::string> services;  // deploy ENV backend=v1.2.0
  std::map<std::string, int> scale;
  std::vector<std::string> restart;             // services to roll; with verb "restart"
  bool force{false};
  bool build{false};
  bool dry_run{false};
  bool allow_downtime{false};
  bool skip_backup{false}, skip_migrate{false};
  TakeBackup take_backup;                       // none: no backup is planned
  Milliseconds lock_wait{0};
  std::string command;                          // for the lock: "deploy production v1.0.0"
  // Shown the plan's text; false: the user says no. Called when the environment is protected or there is downtime.
  std::function<bool(const std::string& question)> confirm;
  std::function<void(const std::string& text)> show;  // the plan, before the question
};

struct DeployResult {
  RunResult run;
  std::string plan_text;
  bool dry_run{false};
  std::string previous;  // "v1.0.0 (release 12)"; empty: the first
};

// Any image tag (https://docs.docker.com/reference/cli/docker/image/tag/): throws Failure{usage} for what can't be one.
void require_version(const std::string& version);

// Asks where the environment is protected or requests may fail; throws Failure{failed} for a no.
void require_consent(const Host& host, const Planned& planned, bool allow_downtime,
                     const std::function<bool(const std::string&)>& confirm);

DeployResult deploy(Host& host, const DeployRequest& request, const Limits& limits);

struct RollbackRequest {
  std::optional<std::string> to;
  bool dry_run{false};
  bool allow_downtime{false};
  Milliseconds lock_wait{0};
  std::string command;
  std::function<bool(const std::string& question)> confirm;
  std::function<void(const std::string& text)> show;
};
DeployResult rollback(Host& host, const RollbackRequest& request, const Limits& limits);

// The plan as --dry-run prints it.
std::string plan_text(const Host& host, const Planned& planned, const std::optional<release::Release>& current);

}  // namespace codops::ops
