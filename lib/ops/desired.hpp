#pragma once
// What a version of the application should look like on a Docker host: made from the compose file and the settings,
// before anything was compared with what runs.
#include <map>
#include <string>
#include <vector>

#include "lib/release/release_store.hpp"

namespace codops::ops {

// A network or volume of the project: created when absent, with compose's labels.
struct NamedObject {
  std::string name;      // on the engine: "shop_default"
  std::string body;      // JSON for POST /networks/create or /volumes/create
  bool external{false};  // must exist; never created or removed
};

struct ProxySettings {
  std::string service;       // empty: no proxy
  std::string upstreams;     // directory in its container that its configuration includes inside http {}
  bool set_connect_timeout{false};
};

struct Desired {
  std::string project;
  std::string environment;
  std::string version;
  // In the order of their dependencies; members, set and replicas-as-scaled are decided by the planner.
  std::vector<release::ServiceRecord> services;
  release::Specs specs;
  std::map<std::string, std::string> blobs;  // SHA-256 → content of files that travel
  std::vector<NamedObject> networks;
  std::vector<NamedObject> volumes;
  release::Definitions definitions;  // of both
  ProxySettings proxy;
  std::map<std::string, std::string> variables;  // that stood in the compose file, with their values: some are secrets
  std::vector<std::string> notes;
  std::vector<std::string> warnings;
};

}  // namespace codops::ops
