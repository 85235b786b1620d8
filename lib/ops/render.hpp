#pragma once
// From the compose file and the settings to what a version should look like on a Docker host.
#include <map>
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/ops/desired.hpp"
#include "lib/settings/environment.hpp"

namespace codops::ops {

struct ImageFacts {
  std::string id;       // "sha256:…" on the engine
  std::string digest;   // of the registry
  std::vector<int> exposed;
  bool has_healthcheck{false};
};

struct RenderOptions {
  std::string version;
  bool remote{false};  // the engine is on another host: writable binds have no meaning there
};

// Reads the files that travel (read-only binds, configs, secrets inside the project directory); decides nothing about
// members. `images` by service. Failure{config}.
Desired render(const compose::Project& project, const settings::Environment& environment,
               const std::map<std::string, ImageFacts>& images, const RenderOptions& options);

}  // namespace codops::ops
