#pragma once
// What the changing verbs ask of an engine, and what they get: no word here is of one engine only.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/ops/run_result.hpp"
#include "lib/target/containers.hpp"

namespace codops::ops {

// A database to back up, as it is reached from here.
struct BackupSubject {
  io::postgres::Target target;
  target::Containers* containers{};  // null: it is no container of the environment
  std::string container;
};
// Takes and verifies a backup; returns what to show. Given by commands/, which knows stores and keys.
using TakeBackup = std::function<std::string(const BackupSubject& subject, const Limits& limits)>;

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
  bool force_conflicts{false};                  // Kubernetes: takes fields over from whoever else manages them
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
  std::string enough;    // why nothing more was done than what recovery did; else empty
  // Where a rollback would change nothing: the stateful services that were changed, which it leaves alone.
  std::optional<std::vector<std::string>> data_alone;
};

struct RollbackRequest {
  std::optional<std::string> to;
  bool dry_run{false};
  bool allow_downtime{false};
  Milliseconds lock_wait{0};
  std::string command;
  std::function<bool(const std::string& question)> confirm;
  std::function<void(const std::string& text)> show;
};

// A container that runs, and a way from here to its port.
struct ReachedContainer {
  target::Container container;
  std::unique_ptr<target::Endpoint> endpoint;
};

struct LogsRequest {
  std::vector<std::string> services;  // empty: all
  bool follow{false};
  bool timestamps{false};
  std::size_t tail{100};
};

// A command in a container of its own.
struct OneOff {
  std::string service;  // whose image, environment and networks it gets
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;  // beside the service's own
  bool tty{false};
  std::string token{"run"};  // of the run whose hook it is; "run": of nobody's
};

struct DownRequest {
  bool volumes{false};     // the data too
  bool namespace_{false};  // Kubernetes: the namespace too
  std::string command;     // for the lock
  Milliseconds lock_wait{0};
  // Asked again when more is there than was agreed to, once nobody else can change it; false: the user says no.
  std::function<bool(const std::string& question)> confirm;
};

// What `down` would take away.
struct DownPlan {
  std::vector<std::string> containers, networks, volumes;  // Docker
  bool with_data{false};   // volumes were asked for: those without a name go with their containers
  bool state{false};       // Docker, with the volumes: releases and history too
  bool on_record{false};   // Docker: the history has a release that serves, or a run is unfinished
  std::vector<std::string> objects, kept;                  // Kubernetes
  std::string text;  // "3 containers, 1 networks (volumes stay)"
  std::string steps; // a line each; empty where the engine has no steps for it
  std::string json;

  bool empty() const { return containers.empty() && networks.empty() && volumes.empty() && objects.empty() && !state && !on_record; }
};

struct Built {
  std::string service, image, id;
};

// What `status` found, for people and for programs.
struct StatusReport {
  bool healthy{false};
  bool drifted{false};
  std::string text, json;
};

// Any image tag (https://docs.docker.com/reference/cli/docker/image/tag/): throws Failure{usage} for what can't be one.
void require_version(const std::string& version);

}  // namespace codops::ops
