#pragma once
// What codops.yaml says, typed. Paths are absolute unless a comment says otherwise; nothing here is a secret's value.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/secret.hpp"
#include "lib/settings/backup.hpp"
#include "lib/settings/health.hpp"
#include "lib/settings/migrate.hpp"
#include "lib/settings/setup_dev.hpp"

namespace codops::settings {

enum class Engine { docker, swarm, kubernetes };
enum class OldSet { stopped, running };

struct Upstream {
  std::optional<int> port;  // unset: the only exposed one
  bool sticky{};            // ip_hash
};

struct Proxy {
  std::string service;    // empty: the environment has no proxy
  std::string upstreams;  // directory inside the proxy's container that its configuration includes in http {}
  std::map<std::string, Upstream> services;
};

struct FrontDoor {
  std::string url;  // empty: the proxy's first published port
  std::string ca;   // PEM file; empty: the system's
  std::string path; // empty: readiness' path of the service behind, else "/"
  std::optional<int> status;
};

struct Readiness {
  std::string path;  // empty: only Docker's health check, or a TCP connect to `port`
  std::optional<int> port;
  int status{200};
};

struct Timeouts {
  Milliseconds ready{}, drain{}, pull{}, engine{};
  std::optional<Milliseconds> stop;  // unset: the service's stop_grace_period
};

struct Hook {
  std::vector<std::string> run;  // argv
  std::string service;           // empty: on this machine, in the project directory; else in this service's new image
  Milliseconds timeout{};
  std::string shown;             // `run` as one text for people and records; known secrets hidden once their environment is opened
};

struct Hooks {
  std::vector<Hook> pre_deploy, post_deploy, on_failure;
};

struct Notification {
  std::string type;          // webhook, slack, pagerduty, email
  std::string url_variable;  // name of the variable that has the URL or key: such a URL is a secret
  Secret url;
  std::vector<std::string> to;      // email
  std::string from, smtp;           // email
  std::vector<std::string> on;      // success, failure, rollback; empty: all
};

struct Database {
  std::string service;       // empty: the one stateful service whose image is PostgreSQL
  std::string url_variable;  // in the environment's files
  std::string name;          // empty: from the URL
  std::string owner;
  std::vector<std::string> extensions;
};

struct Redis {
  std::string service;
  std::string url_variable;
};

struct Kubernetes {
  std::string manifests;  // directory or kustomization
  std::string kubeconfig; // empty: KUBECONFIG, ~/.kube/config
  std::string context;    // empty: the current one
  std::string namespace_; // empty: the manifests' or the context's
};

struct Environment {
  std::string name;
  std::filesystem::path directory;  // the project's
  Engine engine{Engine::docker};
  std::string host;           // "unix:///…", "tcp://…", "ssh://…", "context:NAME"; empty: DOCKER_HOST, contexts, default
  std::vector<std::string> compose_files;
  std::string compose_file_passed_over;  // COMPOSE_FILE of the shell, as it stands there, where docker compose would take other files for it
  std::vector<std::string> env_files;
  std::vector<std::string> profiles;
  std::string project;        // empty: compose's rule
  std::string version_variable;
  std::map<std::string, std::string> images;  // service → "repo/name:{version}"
  bool protected_{};
  Proxy proxy;
  FrontDoor front_door;
  std::map<std::string, Readiness> readiness;  // by service
  Timeouts timeouts;
  Milliseconds monitor{};
  int keep_releases{};
  OldSet old_set{OldSet::stopped};
  std::vector<std::string> stateful;
  std::vector<std::string> env_from_shell;
  Hooks hooks;
  std::vector<Notification> notify;
  Database database;
  Redis redis;
  Kubernetes kubernetes;
  Backup backup;
  Health health;
  Migrate migrate;
  SetupDev setup_dev;
};

struct Project {
  std::string name;                  // `name:`, else the directory's, by compose's rule
  std::filesystem::path directory;   // absolute
  std::filesystem::path file;        // codops.yaml; empty when there is none
  std::vector<std::string> environments;  // known names, sorted
};

}  // namespace codops::settings
