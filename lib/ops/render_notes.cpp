#include "lib/ops/render_notes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/ops/service_networks.hpp"
#include "lib/ops/service_role.hpp"

namespace codops::ops {

using release::Role;

void note_names(const compose::Project& project, const compose::Service& service, const std::vector<std::string>& asked, Desired& desired) {
  for (const auto& key : asked) {
    desired.notes.push_back(fmt::format("who asks for {} by its name on the network {} reaches its new containers while they boot, too", service.name, network_name(project, key)));
  }
  if (service.container_name.empty()) return;
  desired.warnings.push_back(fmt::format("{0} is not called \"{1}\": codops names a container by its release; other services reach it as \"{0}\"", service.name, service.container_name));
}

void note_readiness(const compose::Service& service, const release::ServiceRecord& record, bool checks_itself, Desired& desired) {
  if (record.role != Role::stateless) return;
  const bool checked = checks_itself || (service.healthcheck && !service.healthcheck->disable);
  if (!checked && record.ready == "{}") {
    desired.warnings.push_back(fmt::format("{} has no health check: it counts as ready once {}", record.name,
                                           record.led ? fmt::format("port {} accepts a connection", record.port) : "it runs"));
  }
  if (std::any_of(service.networks.begin(), service.networks.end(), [](const auto& network) { return !network.second.ipv4_address.empty(); })) {
    desired.warnings.push_back(fmt::format("{} does not get the address that the compose file gives it: two of it run side by side while it rolls", record.name));
  }
  if (record.restart == "no") {
    desired.warnings.push_back(fmt::format("{} has no restart policy: it stays down after a restart of the engine", record.name));
  }
  const bool shares_volume = std::any_of(service.volumes.begin(), service.volumes.end(),
                                         [](const auto& mount) { return mount.type == "volume" && !mount.read_only && !mount.source.empty(); });
  if (shares_volume) desired.notes.push_back(fmt::format("{} writes a volume: both sets write it while it rolls", record.name));
}

void warn_of_lost_walls(const compose::Project& project, Desired& desired) {
  std::vector<const compose::Service*> together;
  for (const auto& service : desired.services) {
    const bool joins = service.role == Role::stateless || service.role == Role::exclusive;
    if (joins && service.networks != "{}") together.push_back(&project.services.at(service.name));
  }
  const auto meet = [](const compose::Service& one, const compose::Service& other) {
    return std::any_of(one.networks.begin(), one.networks.end(), [&](const auto& network) { return other.networks.contains(network.first); });
  };
  std::vector<std::string> pairs;
  for (auto one = together.begin(); one != together.end(); ++one) {
    for (auto other = one + 1; other != together.end(); ++other) {
      if (!meet(**one, **other)) pairs.push_back(fmt::format("{} and {}", (*one)->name, (*other)->name));
    }
  }
  if (pairs.empty()) return;
  const auto more = pairs.size() == 1 ? std::string{} : fmt::format(" (and {} pairs more)", pairs.size() - 1);
  desired.warnings.push_back(fmt::format("{}{} share no network in the compose file, and reach each other on {}_codops, which the proxy reaches them by: "
                                         "what only the network kept apart has to be kept apart by a login", pairs.front(), more, project.name));
}

void note_unseen_images(Desired& desired) {
  std::vector<std::string> unseen;
  for (const auto& service : desired.services) {
    if (service.image_id.empty()) unseen.push_back(service.name);
  }
  if (unseen.empty()) return;
  desired.notes.push_back(fmt::format("of {} the image is not on the engine yet: which ports it exposes, and which migrations it has, is seen when it is there", fmt::join(unseen, ", ")));
}

void warn_of_direct_ports(const compose::Project& project, Desired& desired) {
  for (const auto& service : desired.services) {
    if (service.role != Role::exclusive) continue;
    const auto& declared = project.services.at(service.name);
    if (asks_to_stop_first(declared) && declared.container_name.empty() && declared.network_mode.empty()) continue;
    desired.warnings.push_back(fmt::format(
        "{} publishes a port or has a fixed name: not zero-downtime. Put nginx before it: proxy: {{service: nginx, upstreams: /etc/nginx/upstreams}} "
        "in codops.yaml and \"include /etc/nginx/upstreams/*.conf;\" in its http {{}} block", service.name));
  }
}

}  // namespace codops::ops
