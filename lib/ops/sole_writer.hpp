#pragma once
// Two servers on one data directory destroy it, and from its container neither sees the other's lock.
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "lib/ops/observed.hpp"

namespace codops::engine::docker {
class Api;
}

namespace codops::ops {

// Of a container's definition: volumes and binds that have a name or a path.
std::vector<ObservedMount> mounts_of(const nlohmann::json& body);

struct DataServer {
  std::string project, service;
  std::vector<ObservedMount> mounts;
  std::set<std::string> passed_over;  // names: its own container, and those that stop before it starts
};
// Failure{failed} names a container that runs and writes where this one is to write, or is the project's own of the same service. Other
// services of `release` may share a volume with it.
void require_sole_writer(engine::docker::Api& api, const DataServer& server, const release::Release& release, const Limits& limits);

}  // namespace codops::ops
