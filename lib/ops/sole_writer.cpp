#include "lib/ops/sole_writer.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

std::string label_of(const std::map<std::string, std::string>& labels, const char* name) {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string{} : found->second;
}

// "/host/folder:/in/it:ro"
ObservedMount mount_of_bind(const std::string& text) {
  const auto target = text.find(':');
  const auto options = target == std::string::npos ? target : text.find(':', target + 1);
  ObservedMount mount{text.substr(0, target), {}, false, true};
  if (target != std::string::npos) mount.destination = text.substr(target + 1, options == std::string::npos ? options : options - target - 1);
  if (options != std::string::npos) {
    const auto words = "," + text.substr(options + 1) + ",";
    mount.writable = words.find(",ro,") == std::string::npos;
  }
  mount.volume = !mount.source.starts_with('/');
  return mount;
}

[[noreturn]] void refuse(const DataServer& server, const std::string& other, const std::string& why) {
  throw Failure{Exit::failed, fmt::format("{} can't start: {} runs, and {}", server.service, other, why),
                fmt::format("two servers on the same data destroy it; stop the one that is not wanted (docker stop {}), then again", other)};
}

}  // namespace

std::vector<ObservedMount> mounts_of(const Json& body) {
  std::vector<ObservedMount> mounts;
  if (!body.contains("HostConfig")) return mounts;
  const auto& host = body.at("HostConfig");
  for (const auto& mount : host.value("Mounts", Json::array())) {
    const auto type = mount.value("Type", std::string{});
    const auto source = mount.value("Source", std::string{});
    if (source.empty() || (type != "volume" && type != "bind")) continue;
    mounts.push_back({source, mount.value("Target", std::string{}), type == "volume", !mount.value("ReadOnly", false)});
  }
  for (const auto& bind : host.value("Binds", Json::array())) mounts.push_back(mount_of_bind(bind.get<std::string>()));
  return mounts;
}

void require_sole_writer(engine::docker::Api& api, const DataServer& server, const release::Release& release, const Limits& limits) {
  for (const auto& other : api.containers({{"label", {"com.docker.compose.project=" + server.project, "com.docker.compose.service=" + server.service}}}, false, limits)) {
    if (label_of(other.labels, "com.docker.compose.oneoff") == "True" || server.passed_over.contains(other.name)) continue;
    refuse(server, other.name, "is the same service");
  }
  std::vector<std::string> written;
  for (const auto& mount : server.mounts) {
    if (mount.writable) written.push_back(mount.source);
  }
  if (written.empty()) return;
  for (const auto& other : api.containers({{"volume", written}}, false, limits)) {
    if (server.passed_over.contains(other.name)) continue;
    const auto service = label_of(other.labels, "com.docker.compose.service");
    const bool sibling = label_of(other.labels, "com.docker.compose.project") == server.project && service != server.service && release.service(service) != nullptr;
    if (sibling) continue;
    const auto details = api.find_container(other.id, limits);
    if (!details) continue;
    for (const auto& mount : details->mounts) {
      const auto& source = mount.type == "volume" ? mount.name : mount.source;
      if (!mount.writable || std::find(written.begin(), written.end(), source) == written.end()) continue;
      refuse(server, other.name, fmt::format("writes the {} {} too", mount.type == "volume" ? "volume" : "folder", source));
    }
  }
}

}  // namespace codops::ops
