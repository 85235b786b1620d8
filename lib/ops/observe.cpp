#include "lib/ops/observe.hpp"

#include <fmt/format.h>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/io/tar.hpp"
#include "lib/ops/definitions.hpp"
#include "lib/ops/upstreams.hpp"

namespace codops::ops {
namespace {

using engine::docker::ContainerDetails;

constexpr const char* throwaway_suffix = "_codops_probe";

ObservedContainer observed_from(const ContainerDetails& details) {
  ObservedContainer container;
  container.id = details.id;
  container.name = details.name;
  if (const auto found = details.labels.find("com.docker.compose.service"); found != details.labels.end()) {
    container.service = found->second;
  }
  container.image = details.image;
  container.image_id = details.image_id;
  container.state = details.state;
  container.health = details.health;
  container.labels = details.labels;
  for (const auto& [name, attachment] : details.networks) {
    container.addresses[name] = attachment.configured_address.empty() ? attachment.address : attachment.configured_address;
  }
  container.restart_policy = details.restart_policy;
  container.limits = details.limits;
  container.exit_code = details.exit_code;
  container.oom_killed = details.oom_killed;
  container.restart_count = details.restart_count;
  container.created = details.created.value_or(WallTime{});
  container.started = details.started.value_or(WallTime{});
  container.finished = details.finished.value_or(WallTime{});
  for (const auto& port : details.ports) {
    container.ports.push_back(fmt::format("{}:{}->{}/{}", port.host_ip, port.host_port, port.container_port, port.protocol));
  }
  for (const auto& mount : details.mounts) {
    if (mount.type != "volume" && mount.type != "bind") continue;
    const bool volume = mount.type == "volume";
    container.mounts.push_back({volume ? mount.name : mount.source, mount.destination, volume, mount.writable});
  }
  return container;
}

constexpr std::uint64_t most_bytes = 4ULL * 1024 * 1024;

// The proxy that runs, and what is known of its upstream file without a read of it (which costs the engine a process of its own).
struct ProxyFile {
  std::string container;  // empty: no proxy runs
  std::string path;
  std::optional<engine::docker::Api::PathStat> stat;
};

void look_at(ProxyFile& file, engine::docker::Api& api, const std::vector<engine::docker::ContainerSummary>& summaries, const Limits& limits) {
  for (const auto& summary : summaries) {
    const auto role = summary.labels.find(label_role);
    if (summary.state != target::RunState::running || role == summary.labels.end() || role->second != to_string(release::Role::proxy)) continue;
    file.container = summary.id;
    file.stat = api.stat_path(summary.id, file.path, limits);
    return;
  }
}

std::optional<std::string> content_of(const ProxyFile& file, engine::docker::Api& api, const release::Snapshot& snapshot, const Limits& limits) {
  if (file.container.empty()) return std::nullopt;
  if (!file.stat) return std::string{};
  if (auto known = upstreams_by_stat(snapshot, file.stat->size, file.stat->mtime)) return known;
  std::string tar;
  const auto append = [&tar](std::string_view bytes) {
    tar += bytes;
    if (tar.size() > most_bytes) throw Failure{Exit::data, "the proxy's upstream file is too large"};
  };
  if (!api.get_archive(file.container, file.path, append, limits)) return std::string{};
  for (auto& entry : io::read_tar(io::bytes_of(tar), most_bytes)) {
    if (entry.kind == io::TarEntry::Kind::file) return std::move(entry.content);
  }
  return std::string{};
}

// A look at each costs the engine next to nothing, and a proxy with another configuration may answer anything.
std::vector<std::string> edited_in_proxy(engine::docker::Api& api, const Observed& observed, const Limits& limits) {
  const auto* current = observed.snapshot.current();
  if (current == nullptr) return {};
  struct Look {
    const ObservedContainer* container;
    std::string path;
    bool edited;
  };
  std::vector<Look> looks;
  for (const auto& service : current->services) {
    if (service.role != release::Role::proxy) continue;
    for (const auto& member : service.members) {
      const auto* container = observed.container(member.container);
      if (container == nullptr || container->state != target::RunState::running) continue;
      for (const auto& file : service.files) looks.push_back({container, file.target, false});
    }
  }
  in_parallel(looks.size(), calls_at_once, [&](std::size_t index) {
    auto& look = looks[index];
    const auto stat = api.stat_path(look.container->id, look.path, limits);
    look.edited = !stat || is_edited(*look.container, stat->mtime.value_or(WallTime{}));
  });
  std::vector<std::string> edited;
  for (const auto& look : looks) {
    if (look.edited) edited.push_back(look.path);
  }
  return edited;
}

}  // namespace

std::string traffic_network_name(const std::string& project) { return project + "_codops"; }

Observed observe(engine::docker::Api& api, release::ReleaseStore& store, const std::string& project, const std::string& upstreams,
                 const Limits& limits) {
  Observed observed;
  observed.traffic.name = traffic_network_name(project);
  ProxyFile file{.container = {}, .path = upstreams + "/" + upstream_file_name, .stat = {}};
  const auto containers = [&] {
    auto summaries = api.containers({{"label", {"com.docker.compose.project=" + project}}}, true, limits);
    std::erase_if(summaries, [&](const auto& summary) {
      const auto has = [&](const char* label, const char* value) {
        const auto found = summary.labels.find(label);
        return found != summary.labels.end() && found->second == value;
      };
      if (has("com.docker.compose.oneoff", "False")) return false;
      // `codops run` is somebody's own while that process lives.
      if (has(label_token, one_off_token)) {
        const auto owner = summary.labels.find(label_owner);
        observed.one_offs.push_back({summary.id, summary.name, owner == summary.labels.end() ? std::string{} : owner->second});
      } else if (summary.labels.count(label_token) != 0) {
        observed.hooks.push_back(summary.id);
      }
      return true;
    });
    std::vector<std::optional<ContainerDetails>> found(summaries.size());
    in_parallel(summaries.size() + 1, calls_at_once, [&](std::size_t index) {
      if (index > 0) found[index - 1] = api.find_container(summaries[index - 1].id, limits);
      else if (!upstreams.empty()) look_at(file, api, summaries, limits);
    });
    for (const auto& details : found) {
      if (details) observed.containers.push_back(observed_from(*details));
    }
  };
  const auto networks = [&] {
    for (const auto& network : api.networks({}, limits)) {
      observed.networks.push_back(network.name);
      add_definition(observed.definitions, network);
      if (network.name != observed.traffic.name) continue;
      observed.traffic.exists = true;
      observed.traffic.subnet = network.subnet;
    }
  };
  release::Definitions of_volumes;  // beside the networks', at the same time
  const auto volumes = [&] {
    for (const auto& volume : api.volumes({}, limits)) {
      observed.volumes.push_back(volume.name);
      add_definition(of_volumes, volume);
    }
  };
  in_parallel({[&] { observed.snapshot = store.load(limits); }, containers, networks, volumes});
  observed.definitions.merge(of_volumes);
  observed.upstreams = content_of(file, api, observed.snapshot, limits);
  observed.edited = edited_in_proxy(api, observed, limits);
  observed.now = api.client().engine_now().value_or(WallTime{});
  return observed;
}

std::string free_subnet(engine::docker::Api& api, const std::string& project, const std::string& token, const Limits& limits) {
  const auto name = project + throwaway_suffix;
  api.remove_network(name, limits);  // of a run that died between the two calls
  engine::docker::NetworkSpec spec;
  spec.name = name;
  spec.internal = true;
  spec.labels = {{label_token, token}};
  api.create_network(spec, limits);
  const auto network = api.find_network(name, limits);
  api.remove_network(name, limits);
  if (!network || network->subnet.empty()) throw Failure{Exit::failed, "the engine gave a network without an IPv4 subnet"};
  return network->subnet;
}

}  // namespace codops::ops
