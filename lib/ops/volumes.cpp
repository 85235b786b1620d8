#include "lib/ops/volumes.hpp"

#include <fmt/format.h>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/one_off.hpp"

namespace codops::ops {
namespace {

struct Mounted {
  target::Container container;
  std::string path;
};

std::vector<Mounted> mounted_by(Host& host, const std::string& volume, const Limits& limits) {
  std::vector<Mounted> all;
  for (auto& container : host.containers().list({}, true, limits)) {
    const auto details = host.api().find_container(container.id, limits);
    if (!details) continue;
    for (const auto& mount : details->mounts) {
      if (mount.type == "volume" && (mount.name == volume || mount.name == host.project() + "_" + volume)) {
        all.push_back({std::move(container), mount.destination});
        break;
      }
    }
  }
  return all;
}

}  // namespace

backup::FilesPlace volume_place(Host& host, const std::string& volume) {
  backup::FilesPlace place;
  place.name = volume;
  place.containers = &host.containers();
  place.with_container = [&host, volume](bool running, const backup::FilesPlace::Act& act, const Limits& limits) {
    const auto all = mounted_by(host, volume, limits);
    if (all.empty()) {
      throw Failure{Exit::config, fmt::format("no container of \"{}\" has a volume \"{}\"", host.project(), volume),
                    fmt::format("docker volume ls; backup.volumes in codops.yaml; codops status {}", host.environment().name)};
    }
    const auto found = std::find_if(all.begin(), all.end(), [](const auto& one) { return one.container.state == target::RunState::running; });
    if (found != all.end()) return act(found->container.id, found->path);
    if (!running) return act(all.front().container.id, all.front().path);
    // The application rests: something that has the volume and does nothing.
    with_resting_one_off(host, {all.front().container.service, {"sleep", "86400"}, {}, false}, limits,
                         [&](const std::string& container) { act(container, all.front().path); });
  };
  return place;
}

}  // namespace codops::ops
