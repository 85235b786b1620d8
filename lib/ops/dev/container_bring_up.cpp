// One service's container: its image, the container in place of the one before it, and the wait until it is well.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/base/units.hpp"
#include "lib/engine/docker/containers.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/engine/docker/watch.hpp"
#include "lib/ops/build.hpp"
#include "lib/ops/dev/container_definition.hpp"
#include "lib/ops/host.hpp"

namespace codops::ops::dev {
namespace {

using namespace engine::docker;
using target::HealthState;
using target::RunState;

constexpr const char* before_suffix = "-before";
constexpr Milliseconds ready_time{180'000}, recovery_time{10'000}, first_moments{2'000};

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

// Unnamed volumes of the container before: a database whose image declares one has its data there.
void keep_unnamed_volumes(nlohmann::json& body, const ContainerDetails& before) {
  auto& mounts = body["HostConfig"]["Mounts"];
  for (const auto& mount : before.mounts) {
    if (mount.type != "volume") continue;
    const bool named = std::any_of(mounts.begin(), mounts.end(), [&](const nlohmann::json& one) { return one.value("Target", "") == mount.destination; });
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
  throw Failure{Exit::failed, fmt::format("the name \"{}\" is taken by a container of another project", name), fmt::format("docker rename {0} {0}-other", name)};
}

std::string create(const Workspace& workspace, const compose::Service& service, const std::optional<ContainerDetails>& before, const Limits& limits) {
  auto body = body_of(workspace, service);
  const auto hash = hash_of(workspace, service);
  body["Image"] = image_of(*workspace.compose, service);
  auto& labels = body["Labels"];
  if (!labels.is_object()) labels = nlohmann::json::object();
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

// The file names another place for what the container before kept: its data stays in the engine, and out of sight.
void note_other_volumes(const compose::Service& service, const std::optional<ContainerDetails>& before, Reporter& reporter) {
  if (!before) return;
  for (const auto& mount : before->mounts) {
    const auto now = std::find_if(service.volumes.begin(), service.volumes.end(), [&](const auto& one) { return one.target == mount.destination; });
    if (mount.type != "volume" || now == service.volumes.end() || now->source.empty() || now->source == mount.name) continue;
    if (mount.name.size() != 64 || mount.name.find_first_not_of("0123456789abcdef") != std::string::npos) continue;  // a named one has a name to be found by
    reporter.note(fmt::format("{} had its data in the unnamed volume {}, which stays; from now on it is in \"{}\", as the compose file says", service.name, mount.name.substr(0, 12), now->source));
  }
}

// What a run that was killed between making the new container and removing the old one left.
void remove_predecessor(const Workspace& workspace, const compose::Service& service, const ContainerDetails& now, const Limits& limits) {
  const auto name = container_name(workspace, service);
  if (now.name != name) return;
  for (const auto& one : workspace.api->containers(of_project(workspace, service.name), true, limits)) {
    if (one.name == name + before_suffix) workspace.api->remove_container(one.id, true, false, limits);
  }
}

void wait_up(const Workspace& workspace, const compose::Service& service, const std::string& id, JobEnd ending, const scaffold::dev::Progress& progress, const Limits& limits) {
  const auto within = limits.within(ready_time);
  const auto judge = [&](const ContainerDetails& details) {
    const bool ended = details.state == RunState::exited || details.state == RunState::dead || details.state == RunState::restarting || details.restart_count > 2;
    if (ended && !(ending != JobEnd::never && details.state == RunState::exited && details.exit_code == 0)) {
      throw Failure{Exit::failed, fmt::format("{} exited with {}{}:{}", details.name, details.exit_code, details.oom_killed ? " (out of memory)" : "", tail_of(workspace, id, limits)),
                    "codops dev logs " + service.name};
    }
    if (details.health == HealthState::unhealthy && details.state == RunState::running) {
      throw Failure{Exit::failed, fmt::format("{} is unhealthy: {}{}", details.name, details.probes.empty() ? "" : details.probes.back().output.substr(0, 200), tail_of(workspace, id, limits)),
                    "codops dev logs " + service.name};
    }
    progress(ending == JobEnd::must ? "runs" : details.state == RunState::running ? "runs, not healthy yet" : "starts");
    return is_up(service, details, ending);
  };
  try {
    wait_for(*workspace.api, {id}, [&](const Present& present) { return !present.begin()->second.gone && judge(present.begin()->second.details); }, {}, within);
    const auto details = workspace.api->find_container(id, within);
    if (!details || has_healthcheck(service, *details)) return;
    // Nobody says when it is well: a program that can't run ends within its first moments, as it may have since it was seen to run.
    judge(*details);
    if (details->state != RunState::running) return;
    const auto moments = within.within(first_moments);
    try {
      wait_for(*workspace.api, {id}, [&](const Present& present) { return present.begin()->second.gone || !judge(present.begin()->second.details); }, {}, moments);
    } catch (const Failure& failure) {
      if (failure.code() != Exit::deadline || within.deadline.expired()) throw;
    }
  } catch (const Failure& failure) {
    if (failure.code() != Exit::deadline || limits.deadline.expired()) throw;
    throw Failure{Exit::failed, fmt::format("{} is not ready after {}:{}", service.name, format_duration(ready_time), tail_of(workspace, id, limits)), "codops dev logs " + service.name};
  }
}

// Probes that failed while it was paused, or before what it lacked was there, say nothing of now: the next one does.
void let_recover(const Workspace& workspace, const ContainerDetails& before, const Limits& limits) {
  if (before.state != RunState::paused && before.state != RunState::running) return;
  try {
    wait_for(*workspace.api, {before.id}, [](const Present& present) { return present.begin()->second.gone || present.begin()->second.details.health != HealthState::unhealthy; }, {}, limits.within(recovery_time));
  } catch (const Failure& failure) {
    if (failure.code() != Exit::deadline || limits.deadline.expired()) throw;
  }
}

// Made where it is missing or stale, on its networks, started. Can be repeated after any failure.
ContainerDetails make_and_start(const Workspace& workspace, const compose::Service& service, const scaffold::dev::Progress& progress, Reporter& reporter, const Clock& clock, const Limits& limits) {
  const auto found = [&](std::optional<ContainerDetails> details) {
    if (!details) throw Failure{Exit::failed, fmt::format("the container of \"{}\" was removed meanwhile", service.name), "codops setup-dev"};
    return std::move(*details);
  };
  auto there = find_container_of(workspace, service.name, limits);
  if (!there || is_stale(workspace, service, *there)) {
    ensure_image(workspace, service, progress, reporter, clock, limits);
    note_other_volumes(service, there, reporter);
    there = workspace.api->find_container(create(workspace, service, there, limits), limits);
  }
  auto details = found(std::move(there));
  for (const auto& [network, endpoint] : missing_endpoints(workspace, service, details)) workspace.api->connect_network(network, details.id, endpoint, limits);
  remove_predecessor(workspace, service, details, limits);
  if (details.state == RunState::paused) workspace.api->unpause_container(details.id, limits);
  try {
    workspace.api->start_container(details.id, limits);
  } catch (const ApiError& error) {
    if (!error.not_found()) throw;
    // Its network was removed while it was stopped: the container is made anew, with its volumes.
    details = found(workspace.api->find_container(create(workspace, service, details, limits), limits));
    workspace.api->start_container(details.id, limits);
  }
  return details;
}

}  // namespace

std::string bring_up(const Workspace& workspace, const std::string& name, scaffold::dev::Ledger& ledger, const scaffold::dev::Progress& progress, Reporter& reporter, const Clock& clock,
                     const Limits& limits) {
  const auto& service = workspace.compose->services.at(name);
  auto details = [&] {
    try {
      return make_and_start(workspace, service, progress, reporter, clock, limits);
    } catch (const ApiError&) {
      // A network that a killed run had asked for may come as late as now.
      if (!merge_twin_networks(workspace, limits)) throw;
      return make_and_start(workspace, service, progress, reporter, clock, limits);
    }
  }();
  if (ledger.find(stopped_key(name))) ledger.drop(stopped_key(name));
  let_recover(workspace, details, limits);
  wait_up(workspace, service, details.id, ending_of(workspace, name, details.id, ledger), progress, limits);
  const auto now = workspace.api->find_container(details.id, limits);
  return now && now->state == RunState::exited ? fmt::format("{} ended with 0", details.name) : details.name;
}

}  // namespace codops::ops::dev
