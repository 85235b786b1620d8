#include "lib/ops/mounted_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/engine/docker/state_store.hpp"
#include "lib/plan/fault.hpp"
#include "lib/release/release_store.hpp"

namespace codops::ops {
namespace {

constexpr const char* label_files_of = "codops.files";  // of a volume without a name: the project

}  // namespace

io::TarEntry entry_of(const release::FileRef& file, std::string content) {
  io::TarEntry entry;
  entry.path = file.target.substr(file.target.find_first_not_of('/'));
  entry.mode = static_cast<unsigned>(file.mode);
  entry.uid = static_cast<std::uint32_t>(file.uid);
  entry.gid = static_cast<std::uint32_t>(file.gid);
  if (file.link) entry.kind = io::TarEntry::Kind::symlink;
  (file.link ? entry.link_target : entry.content) = std::move(content);
  return entry;
}

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

void add_folders(nlohmann::json& body, const std::vector<std::string>& folders, const std::string& project) {
  for (const auto& folder : folders) {
    body["HostConfig"]["Mounts"].push_back({{"Type", "volume"}, {"Target", folder}, {"VolumeOptions", {{"NoCopy", true}, {"Labels", {{label_files_of, project}}}}}});
  }
}

std::set<std::string> folders_in(const nlohmann::json& body) {
  std::set<std::string> folders;
  if (!body.contains("HostConfig")) return folders;
  for (const auto& mount : body.at("HostConfig").value("Mounts", nlohmann::json::array())) {
    const auto options = mount.value("VolumeOptions", nlohmann::json::object());
    if (options.value("Labels", nlohmann::json::object()).contains(label_files_of)) folders.insert(mount.at("Target").get<std::string>());
  }
  return folders;
}

bool is_folder_of_files(const release::ServiceRecord& service, const std::string& destination) {
  return std::any_of(service.files.begin(), service.files.end(), [&](const auto& file) { return file.target.starts_with(destination + "/"); });
}

void remove_unused_folders(engine::docker::Api& api, const std::string& project, const Limits& limits) {
  const auto volumes = api.volumes({{"label", {fmt::format("{}={}", label_files_of, project)}}, {"dangling", {"true"}}}, limits);
  if (!volumes.empty()) plan::Faults{}.at("in", "folders");
  for (const auto& volume : volumes) {
    try {
      api.remove_volume(volume.name, limits);
    } catch (const engine::docker::ApiError& error) {
      if (!error.conflict()) throw;  // somebody's container has it by now
    }
  }
}

}  // namespace codops::ops
