#include "lib/ops/render_refusals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lib/base/failure.hpp"
#include "lib/base/spellings.hpp"

namespace codops::ops {

std::vector<std::string> unknown_services(const compose::Project& project, const settings::Environment& environment) {
  std::vector<std::string> told;
  const auto require = [&](const std::string& name, std::string_view where) {
    if (project.services.contains(name)) return;
    std::vector<std::string> all;
    for (const auto& [known, service] : project.services) all.push_back(known);
    auto text = fmt::format("{} names \"{}\", and the compose file has no such service", where, name);
    const auto near = nearest(name, all);
    if (!near.empty()) throw Failure{Exit::config, text, fmt::format("did you mean \"{}\"?", near)};
    told.push_back(std::move(text));
  };
  for (const auto& name : environment.stateful) require(name, "stateful");
  for (const auto& [name, readiness] : environment.readiness) require(name, "readiness");
  for (const auto& [name, upstream] : environment.proxy.services) require(name, "proxy.services");
  return told;
}

void refuse_what_is_shared(const compose::Service& service) {
  const std::array<std::pair<const char*, const std::string*>, 3> modes{{{"network_mode", &service.network_mode}, {"pid", &service.pid}, {"ipc", &service.ipc}}};
  for (const auto& [key, value] : modes) {
    if (!value->starts_with("service:")) continue;
    throw Failure{Exit::config, fmt::format("service \"{}\" has {}: {}: codops does not deploy containers that live in another one's", service.name, key, *value),
                  "run both in one container, or let them talk over a network"};
  }
  if (std::any_of(service.volumes.begin(), service.volumes.end(), [](const auto& mount) { return !mount.subpath.empty(); })) {
    throw Failure{Exit::config, fmt::format("service \"{}\" mounts a folder within a volume (subpath), which codops does not do: it would be the whole volume", service.name),
                  "give it a volume of its own"};
  }
  if (!service.volumes_from.empty()) {
    throw Failure{Exit::config, fmt::format("service \"{}\" has volumes_from: codops does not deploy it", service.name), "name the volume, and mount it in both services"};
  }
  for (const auto& mount : service.volumes) {
    if (mount.target.starts_with('/')) continue;
    throw Failure{Exit::config, fmt::format("service \"{}\" mounts to \"{}\", which is no absolute path", service.name, mount.target),
                  "NAME:/PATH with a volume's name of two letters or more: one letter and a colon is a Windows path to compose"};
  }
}

}  // namespace codops::ops
