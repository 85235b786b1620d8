#include "lib/ops/mounted_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/engine/docker/state_store.hpp"
#include "lib/release/release_store.hpp"

namespace codops::ops {

void add_mounts(nlohmann::json& body, const std::vector<release::FileRef>& files, engine::docker::Api& api, const std::string& project, const Limits& limits) {
  if (std::none_of(files.begin(), files.end(), [](const auto& file) { return file.mounted; })) return;
  const auto name = engine::docker::state_volume_name(project);
  const auto volume = api.find_volume(name, limits);
  if (!volume || volume->mountpoint.empty()) {
    throw Failure{Exit::data, fmt::format("the volume {} is gone, and with it files that a container needs", name), "deploy the version again: its files are taken from the checkout"};
  }
  for (const auto& file : files) {
    if (!file.mounted) continue;
    const auto path = release::ReleaseStore::mounted(file, {}).path;
    body["HostConfig"]["Mounts"].push_back({{"Type", "bind"}, {"Source", fmt::format("{}/{}", volume->mountpoint, path)}, {"Target", file.target}, {"ReadOnly", true}});
  }
}

}  // namespace codops::ops
