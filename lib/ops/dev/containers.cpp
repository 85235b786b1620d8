#include "lib/ops/dev/containers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/base/units.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/containers.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/engine/docker/watch.hpp"
#include "lib/io/crypto.hpp"
#include "lib/ops/build.hpp"
#include "lib/ops/host.hpp"

namespace codops::ops::dev {
namespace {

using Json = nlohmann::json;
using namespace engine::docker;
using scaffold::dev::Finding;
using target::HealthState;
using target::RunState;

constexpr std::string_view hash_label = "codops.dev.config";
constexpr const char* before_suffix = "-before";
constexpr Milliseconds ready_time{180'000};

const compose::Service& service_named(const Workspace& workspace, const std::string& name) { return workspace.compose->services.at(name); }

Filters of_project(const Workspace& workspace, const std::string& service = {}) {
  std::vector<std::string> labels{fmt::format("{}={}", compose_project_label, workspace.compose->name), fmt::format("{}=False", compose_oneoff_label)};
  if (!service.empty()) labels.push_back(fmt::format("{}={}", compose_service_label, service));
  return {{"label", labels}};
}

std::string container_name(const Workspace& workspace, const compose::Service& service) {
  return service.container_name.empty() ? fmt::format("{}-{}-1", workspace.compose->name, service.name) : service.container_name;
}

// The service's container; beside it there may be the one before it, which a run that was killed had no time to remove.
std::optional<ContainerDetails> find(const Workspace& workspace, const std::string& service, const Limits& limits) {
  const auto all = workspace.api->containers(of_project(workspace, service), true, limits);
  if (all.empty()) return std::nullopt;
  const auto named = std::find_if(all.begin(), all.end(), [name = container_name(workspace, service_named(workspace, service))](const auto& one) { return one.name == name; });
  return workspace.api->find_container(named == all.end() ? all.front().id : named->id, limits);
}

using Endpoints = std::vector<std::pair<std::string, EndpointSpec>>;

Endpoints endpoints_of(const Workspace& workspace, const compose::Service& service) {
  Endpoints endpoints;
  for (const auto& [key, attachment] : service.networks) {
    const auto network = workspace.compose->networks.find(key);
    EndpointSpec endpoint{attachment.ipv4_address, attachment.aliases};
    endpoint.aliases.push_back(service.name);
    endpoints.emplace_back(network == workspace.compose->networks.end() ? key : network->second.name, std::move(endpoint));
  }
  return endpoints;
}

// Those that a container was not joined to: its maker was killed before it came to that.
Endpoints missing_endpoints(const Workspace& workspace, const compose::Service& service, const ContainerDetails& details) {
  auto endpoints = endpoints_of(workspace, service);
  endpoints.erase(std::remove_if(endpoints.begin(), endpoints.end(), [&](const auto& one) { return details.networks.count(one.first) != 0; }), endpoints.end());
  return endpoints;
}

Json body_of(const Workspace& workspace, const compose::Service& service) {
  auto body = create_body(*workspace.compose, service, {});
  // Secrets and configs that are files: docker compose binds them too.
  const auto bind = [&](const std::vector<compose::FileReference>& references, const std::map<std::string, compose::FileObject>& objects, const char* folder) {
    for (const auto& reference : references) {
      const auto object = objects.find(reference.source);
      if (object == objects.end() || object->second.file.empty()) continue;
      auto target = reference.target.empty() ? fmt::format("{}{}", folder, reference.source) : reference.target;
      if (!target.starts_with('/')) target = folder + target;
      body["HostConfig"]["Mounts"].push_back({{"Type", "bind"}, {"Source", object->second.file}, {"Target", target}, {"ReadOnly", true}});
    }
  };
  bind(service.secrets, workspace.compose->secrets, "/run/secrets/");
  bind(service.configs, workspace.compose->configs, "/");
  return body;
}

std::string hash_of(const Workspace& workspace, const compose::Service& service) {
  return io::sha256_hex(body_of(workspace, service).dump() + image_of(*workspace.compose, service));
}

// Made by docker compose, or by codops from another definition?
bool is_stale(const Workspace& workspace, const compose::Service& service, const ContainerDetails& details) {
  const auto label = details.labels.find(std::string{hash_label});
  if (label != details.labels.end()) return label->second != hash_of(workspace, service);
  for (const auto& port : service.ports) {
    if (port.published.empty() || port.published.find('-') != std::string::npos || details.state != RunState::running) continue;
    const bool there = std::any_of(details.ports.begin(), details.ports.end(), [&](const PublishedPort& one) {
      return one.container_port == port.target && std::to_string(one.host_port) == port.published;
    });
    if (!there) return true;
  }
  return false;
}

bool has_healthcheck(const compose::Service& service, const ContainerDetails& details) {
  return details.health != HealthState::none || (service.healthcheck && !service.healthcheck->disable && !service.healthcheck->test.empty());
}

std::string tail_of(const Workspace& workspace, const std::string& container, const Limits& limits) {
  std::string text;
  try {
    ProjectContainers containers{*workspace.api, workspace.compose->name};
    for (const auto& line : containers.last_logs(container, 10, limits.within(Milliseconds{5'000}))) text += "\n  │ " + line;
  } catch (const Failure&) {
    // The evidence is missing; the failure itself is told.
  }
  return text;
}

void ensure_image(const Workspace& workspace, const compose::Service& service, const scaffold::dev::Progress& progress, Reporter& reporter, const Clock& clock, const Limits& limits) {
  const auto image = image_of(*workspace.compose, service);
  const bool there = workspace.api->find_image(image, limits).has_value();
  if (there && service.pull_policy != "always" && service.pull_policy != "build") return;
  const bool builds = service.build && (service.image.empty() || service.pull_policy == "build" || service.pull_policy == "never");
  if (builds && !there) {
    progress("builds " + image);
    auto environment = workspace.environment;
    environment.compose_files = workspace.compose->files;
    environment.project = workspace.compose->name;
    Host host{environment, workspace.shell, reporter, clock};
    build_services(host, *workspace.compose, {service.name}, false, limits);
    return;
  }
  if (there) return;
  if (service.pull_policy == "never") {
    throw Failure{Exit::unavailable, fmt::format("the image \"{}\" is not on the engine, and pull_policy is never", image), "docker build -t " + image};
  }
  progress("pulls " + image);
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> layers;
  workspace.api->pull_image(parse_image_name(image), service.platform, [&](const PullProgress& step) {
    if (step.total != 0) layers[step.layer] = {step.current, step.total};
    std::uint64_t current = 0, total = 0;
    for (const auto& [_, bytes] : layers) {
      current += bytes.first;
      total += bytes.second;
    }
    if (total != 0) progress(fmt::format("pulls {} · {} of {}", image, format_bytes(current), format_bytes(total)));
  }, limits);
}

Json compose_labels(const Workspace& workspace, const char* kind, const std::string& key, const std::map<std::string, std::string>& own) {
  Json labels = own;
  if (!labels.is_object()) labels = Json::object();
  labels["com.docker.compose.project"] = workspace.compose->name;
  labels[std::string{"com.docker.compose."} + kind] = key;
  return labels;
}

void make_network(const Workspace& workspace, const std::string& key, const compose::Network& wanted, const Limits& limits) {
  if (wanted.external) throw Failure{Exit::config, fmt::format("the network \"{}\" is external and does not exist", wanted.name), "docker network create " + wanted.name};
  Json body{{"Name", wanted.name}, {"CheckDuplicate", true}, {"Driver", wanted.driver.empty() ? "bridge" : wanted.driver}, {"Internal", wanted.internal}, {"Attachable", wanted.attachable},
            {"Labels", compose_labels(workspace, "network", key, wanted.labels)}};
  if (wanted.enable_ipv6) body["EnableIPv6"] = *wanted.enable_ipv6;
  if (!wanted.driver_opts.empty()) body["Options"] = wanted.driver_opts;
  for (const auto& pool : wanted.pools) {
    if (pool.subnet.empty()) continue;
    Json range{{"Subnet", pool.subnet}};
    if (!pool.gateway.empty()) range["Gateway"] = pool.gateway;
    body["IPAM"]["Config"].push_back(std::move(range));
  }
  workspace.api->create_network(body, limits);
}

void make_volume(const Workspace& workspace, const std::string& key, const compose::Volume& wanted, const Limits& limits) {
  if (wanted.external) throw Failure{Exit::config, fmt::format("the volume \"{}\" is external and does not exist", wanted.name), "docker volume create " + wanted.name};
  Json body{{"Name", wanted.name}, {"Driver", wanted.driver.empty() ? "local" : wanted.driver}, {"Labels", compose_labels(workspace, "volume", key, wanted.labels)}};
  if (!wanted.driver_opts.empty()) body["DriverOpts"] = wanted.driver_opts;
  workspace.api->create_volume(body, limits);
}

// Unnamed volumes of the container before: a database whose image declares one has its data there.
void keep_unnamed_volumes(Json& body, const ContainerDetails& before) {
  auto& mounts = body["HostConfig"]["Mounts"];
  for (const auto& mount : before.mounts) {
    if (mount.type != "volume") continue;
    const bool named = std::any_of(mounts.begin(), mounts.end(), [&](const Json& one) { return one.value("Target", "") == mount.destination; });
    if (!named) mounts.push_back({{"Type", "volume"}, {"Source", mount.name}, {"Target", mount.destination}, {"ReadOnly", !mount.writable}});
    if (!named && body.contains("Volumes")) body["Volumes"].erase(mount.destination);
  }
}

// The name is taken. A run that was killed may have asked for this very container: the engine goes on making it, and lists it late.
std::string already_made(const Workspace& workspace, const compose::Service& service, const std::string& hash, const Limits& limits) {
  const auto name = container_name(workspace, service);
  const auto bounded = limits.within(Milliseconds{10'000});
  Backoff backoff{Milliseconds{50}, Milliseconds{500}};
  do {
    const auto found = workspace.api->find_container(name, limits);
    if (!found) continue;
    const auto label = found->labels.find(std::string{hash_label});
    const auto owner = found->labels.find("com.docker.compose.project");
    if (label != found->labels.end() && label->second == hash && owner != found->labels.end() && owner->second == workspace.compose->name) return found->id;
    break;
  } while (backoff.wait(bounded));
  throw Failure{Exit::failed, fmt::format("the name \"{}\" is taken by a container of another project", name), "docker rename " + name};
}

std::string create(const Workspace& workspace, const compose::Service& service, const std::optional<ContainerDetails>& before, const Limits& limits) {
  auto body = body_of(workspace, service);
  const auto hash = hash_of(workspace, service);
  body["Image"] = image_of(*workspace.compose, service);
  auto& labels = body["Labels"];
  if (!labels.is_object()) labels = Json::object();
  labels["com.docker.compose.project"] = workspace.compose->name;
  labels["com.docker.compose.service"] = service.name;
  labels["com.docker.compose.oneoff"] = "False";
  labels["com.docker.compose.container-number"] = "1";
  labels["com.docker.compose.config-hash"] = hash;
  labels["com.docker.compose.project.working_dir"] = workspace.compose->working_dir;
  labels["com.docker.compose.project.config_files"] = fmt::format("{}", fmt::join(workspace.compose->files, ","));
  labels[std::string{hash_label}] = hash;
  if (before) keep_unnamed_volumes(body, *before);
  const auto endpoints = endpoints_of(workspace, service);
  if (!endpoints.empty()) {
    // Before API 1.44 a container is created on one network at most.
    const auto& [network, endpoint] = endpoints.front();
    body["HostConfig"]["NetworkMode"] = network;
    auto& first = body["NetworkingConfig"]["EndpointsConfig"][network];
    first["Aliases"] = endpoint.aliases;
    if (!endpoint.address.empty()) first["IPAMConfig"]["IPv4Address"] = endpoint.address;
  }
  const auto name = container_name(workspace, service);
  if (before) {
    workspace.api->stop_container(before->id, std::chrono::seconds{30}, limits);
    // Its unnamed volumes are known by it alone: it goes only once the new one has them.
    if (before->name == name) workspace.api->rename_container(before->id, name + before_suffix, limits);
  }
  std::string id;
  try {
    id = workspace.api->create_container(name, body, limits).id;
  } catch (const ApiError& error) {
    if (!error.conflict()) throw;
    id = already_made(workspace, service, hash, limits);
  }
  for (std::size_t i = 1; i < endpoints.size(); ++i) workspace.api->connect_network(endpoints[i].first, id, endpoints[i].second, limits);
  if (before) workspace.api->remove_container(before->id, true, false, limits);
  return id;
}

// What a run that was killed between making the new container and removing the old one left.
void remove_predecessor(const Workspace& workspace, const compose::Service& service, const ContainerDetails& now, const Limits& limits) {
  const auto name = container_name(workspace, service);
  if (now.name != name) return;
  for (const auto& one : workspace.api->containers(of_project(workspace, service.name), true, limits)) {
    if (one.name == name + before_suffix) workspace.api->remove_container(one.id, true, false, limits);
  }
}

bool is_up(const compose::Service& service, const ContainerDetails& details, bool one_shot) {
  if (one_shot) return details.state == RunState::exited && details.exit_code == 0;
  if (details.state != RunState::running) return false;
  return !has_healthcheck(service, details) || details.health == HealthState::healthy;
}

void wait_up(const Workspace& workspace, const compose::Service& service, const std::string& id, bool one_shot, const scaffold::dev::Progress& progress, const Limits& limits) {
  const auto within = limits.within(ready_time);
  const auto judge = [&](const ContainerDetails& details) {
    const bool ended = details.state == RunState::exited || details.state == RunState::dead || details.state == RunState::restarting || details.restart_count > 2;
    if (ended && !(one_shot && details.exit_code == 0)) {
      throw Failure{Exit::failed, fmt::format("{} exited with {}{}:{}", details.name, details.exit_code, details.oom_killed ? " (out of memory)" : "", tail_of(workspace, id, limits)),
                    "codops dev logs " + service.name};
    }
    if (details.health == HealthState::unhealthy && details.state == RunState::running) {
      throw Failure{Exit::failed, fmt::format("{} is unhealthy: {}{}", details.name, details.probes.empty() ? "" : details.probes.back().output.substr(0, 200), tail_of(workspace, id, limits)),
                    "codops dev logs " + service.name};
    }
    progress(one_shot ? "runs" : details.state == RunState::running ? "runs, not healthy yet" : "starts");
    return is_up(service, details, one_shot);
  };
  try {
    wait_for(*workspace.api, {id}, [&](const Present& present) { return !present.begin()->second.gone && judge(present.begin()->second.details); }, {}, within);
    const auto details = workspace.api->find_container(id, within);
    if (!details || one_shot || has_healthcheck(service, *details)) return;
    // Nobody says when it is well: a program that can't run ends within its first second.
    within.within(Milliseconds{1'000}).wait(-1, 0);
    if (const auto still = workspace.api->find_container(id, within)) judge(*still);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::deadline || limits.deadline.expired()) throw;
    throw Failure{Exit::failed, fmt::format("{} is not ready after {}:{}", service.name, format_duration(ready_time), tail_of(workspace, id, limits)), "codops dev logs " + service.name};
  }
}

std::string state_text(const ContainerDetails& details) {
  if (details.state == RunState::running) return details.health == HealthState::healthy ? "healthy" : details.health == HealthState::starting ? "starting" : details.health == HealthState::unhealthy ? "unhealthy" : "running";
  if (details.state == RunState::exited) return fmt::format("exited with {}", details.exit_code);
  if (details.state == RunState::paused) return "paused";
  if (details.state == RunState::restarting) return "restarting";
  return details.state == RunState::created ? "created" : "dead";
}

}  // namespace

bool is_one_shot(const compose::Project& project, const std::string& service) {
  return std::any_of(project.services.begin(), project.services.end(), [&](const auto& entry) {
    const auto found = entry.second.depends_on.find(service);
    return found != entry.second.depends_on.end() && found->second.condition == compose::Dependency::Condition::completed;
  });
}

Finding look_at_networks(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> missing;
  for (const auto& [key, network] : workspace.compose->networks) {
    if (!workspace.api->find_network(network.name, limits)) missing.push_back(network.name);
  }
  for (const auto& [key, volume] : workspace.compose->volumes) {
    if (!workspace.api->find_volume(volume.name, limits)) missing.push_back(volume.name);
  }
  const auto count = workspace.compose->networks.size() + workspace.compose->volumes.size();
  if (missing.empty()) return {true, fmt::format("{} networks and volumes", count), {}, {}};
  return {false, fmt::format("{} is missing", fmt::join(missing, ", ")), {}, {}};
}

std::string make_networks(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> made;
  for (const auto& [key, network] : workspace.compose->networks) {
    if (workspace.api->find_network(network.name, limits)) continue;
    make_network(workspace, key, network, limits);
    made.push_back(network.name);
  }
  for (const auto& [key, volume] : workspace.compose->volumes) {
    if (workspace.api->find_volume(volume.name, limits)) continue;
    make_volume(workspace, key, volume, limits);
    made.push_back(volume.name);
  }
  return fmt::format("made {}", fmt::join(made, ", "));
}

Finding look_at_service(const Workspace& workspace, const std::string& name, const Limits& limits) {
  const auto& service = service_named(workspace, name);
  const auto details = find(workspace, name, limits);
  if (!details) return {false, "no container yet", {}, {}};
  const bool stale = is_stale(workspace, service, *details);
  const bool up = is_up(service, *details, is_one_shot(*workspace.compose, name));
  if (const auto missing = missing_endpoints(workspace, service, *details); !stale && !missing.empty()) {
    return {false, fmt::format("{} is not on the network \"{}\"", details->name, missing.front().first), {}, {}};
  }
  if (!stale && up) return {true, fmt::format("{} {}", details->name, state_text(*details)), {}, {}};
  return {false, stale ? fmt::format("{} was made from another definition", details->name) : fmt::format("{} {}", details->name, state_text(*details)), {}, {}};
}

std::string bring_up(const Workspace& workspace, const std::string& name, const scaffold::dev::Progress& progress, Reporter& reporter, const Clock& clock, const Limits& limits) {
  const auto& service = service_named(workspace, name);
  const bool one_shot = is_one_shot(*workspace.compose, name);
  auto details = find(workspace, name, limits);
  if (!details || is_stale(workspace, service, *details)) {
    ensure_image(workspace, service, progress, reporter, clock, limits);
    const auto id = create(workspace, service, details, limits);
    details = workspace.api->find_container(id, limits);
  }
  if (!details) throw Failure{Exit::failed, fmt::format("the container of \"{}\" was removed meanwhile", name)};
  for (const auto& [network, endpoint] : missing_endpoints(workspace, service, *details)) workspace.api->connect_network(network, details->id, endpoint, limits);
  remove_predecessor(workspace, service, *details, limits);
  if (details->state == RunState::paused) workspace.api->unpause_container(details->id, limits);
  try {
    workspace.api->start_container(details->id, limits);
  } catch (const ApiError& error) {
    if (!error.not_found()) throw;
    // Its network was removed while it was stopped: the container is made anew, with its volumes.
    const auto id = create(workspace, service, details, limits);
    details = workspace.api->find_container(id, limits);
    if (!details) throw;
    workspace.api->start_container(details->id, limits);
  }
  wait_up(workspace, service, details->id, one_shot, progress, limits);
  return one_shot ? fmt::format("{} ended with 0", details->name) : details->name;
}

std::vector<ServiceContainer> containers_of(const Workspace& workspace, const Limits& limits) {
  std::vector<ServiceContainer> all;
  for (const auto& summary : workspace.api->containers(of_project(workspace), true, limits)) {
    const auto details = workspace.api->find_container(summary.id, limits);
    if (!details) continue;
    const auto service = summary.labels.find(std::string{compose_service_label});
    all.push_back({service == summary.labels.end() ? "" : service->second, summary.id, summary.name, state_text(*details)});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

void require_ours(const Workspace& workspace, const Limits& limits) {
  const auto hint = "give the development stack a name of its own: setup_dev.project in codops.yaml, or COMPOSE_PROJECT_NAME";
  for (const auto& summary : workspace.api->containers(of_project(workspace), true, limits)) {
    const auto folder = summary.labels.find("com.docker.compose.project.working_dir");
    std::error_code error;
    if (folder != summary.labels.end() && folder->second != workspace.compose->working_dir && std::filesystem::is_directory(folder->second, error)) {
      throw Failure{Exit::config, fmt::format("the project \"{}\" on this engine is that of the checkout \"{}\"", workspace.compose->name, folder->second), hint};
    }
    if (summary.labels.find("codops.environment") == summary.labels.end()) continue;
    throw Failure{Exit::config, fmt::format("the project \"{}\" on this engine was deployed by codops (environment \"{}\")", workspace.compose->name, summary.labels.at("codops.environment")),
                  hint};
  }
}

void stop_containers(const Workspace& workspace, const Limits& limits) {
  for (const auto& container : containers_of(workspace, limits)) workspace.api->stop_container(container.id, std::chrono::seconds{30}, limits);
}

std::vector<std::string> volumes_of(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> found;
  for (const auto& [key, volume] : workspace.compose->volumes) {
    if (volume.external) continue;
    const auto there = workspace.api->find_volume(volume.name, limits);
    // One of that name that nobody made for this project stays.
    if (!there || there->labels.count("com.docker.compose.project") == 0 || there->labels.at("com.docker.compose.project") != workspace.compose->name) continue;
    found.push_back(volume.name);
  }
  return found;
}

void remove_containers(const Workspace& workspace, const Limits& limits) {
  for (const auto& container : containers_of(workspace, limits)) {
    workspace.api->stop_container(container.id, std::chrono::seconds{30}, limits);
    workspace.api->remove_container(container.id, true, true, limits);
  }
  for (const auto& volume : volumes_of(workspace, limits)) workspace.api->remove_volume(volume, limits);
}

}  // namespace codops::ops::dev
