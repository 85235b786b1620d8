#include "lib/ops/dev/containers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/engine/docker/containers.hpp"
#include "lib/ops/dev/container_definition.hpp"

namespace codops::ops::dev {

using namespace engine::docker;
using scaffold::dev::Finding;

Finding look_at_service(const Workspace& workspace, const std::string& name, const scaffold::dev::Ledger& ledger, const Limits& limits) {
  const auto& service = workspace.compose->services.at(name);
  const auto details = find_container_of(workspace, name, limits);
  if (!details) return {false, "no container yet", {}, {}};
  const bool stale = is_stale(workspace, service, *details);
  const bool up = is_up(service, *details, ending_of(workspace, name, details->id, ledger));
  if (const auto missing = missing_endpoints(workspace, service, *details); !stale && !missing.empty()) {
    return {false, fmt::format("{} is not on the network \"{}\"", details->name, missing.front().first), {}, {}};
  }
  if (!stale && up) return {true, fmt::format("{} {}", details->name, state_text(*details)), {}, {}};
  return {false, stale ? fmt::format("{} was made from another definition", details->name) : fmt::format("{} {}", details->name, state_text(*details)), {}, {}};
}

namespace {

std::string label(const ContainerSummary& summary, std::string_view name) {
  const auto found = summary.labels.find(std::string{name});
  return found == summary.labels.end() ? std::string{} : found->second;
}

std::vector<ServiceContainer> containers_with(const Workspace& workspace, const Filters& filters, const Limits& limits) {
  std::vector<ServiceContainer> all;
  for (const auto& summary : workspace.api->containers(filters, true, limits)) {
    const auto details = workspace.api->find_container(summary.id, limits);
    if (!details || !label(summary, "codops.environment").empty()) continue;
    all.push_back({label(summary, compose_service_label), summary.id, summary.name, state_text(*details), label(summary, compose_project_label)});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

}  // namespace

std::vector<ServiceContainer> containers_of(const Workspace& workspace, const Limits& limits) { return containers_with(workspace, of_project(workspace), limits); }

std::vector<ServiceContainer> containers_here(const Workspace& workspace, const Limits& limits) {
  return containers_with(workspace, {{"label", {"com.docker.compose.project.working_dir=" + workspace.project.string()}}}, limits);
}

void require_ours(const Workspace& workspace, const Limits& limits) {
  const auto hint = "give the development stack a name of its own: COMPOSE_PROJECT_NAME, or, where that is unset, setup_dev.project in codops.yaml";
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

void require_unused_volumes(const Workspace& workspace, const Limits& limits) {
  const auto own = containers_of(workspace, limits);
  std::string users, names;
  for (const auto& volume : volumes_of(workspace, limits)) {
    for (const auto& summary : workspace.api->containers({{"volume", {volume}}}, true, limits)) {
      if (std::any_of(own.begin(), own.end(), [&](const ServiceContainer& one) { return one.id == summary.id; })) continue;
      users += fmt::format("{}container \"{}\" has volume \"{}\"", users.empty() ? "" : ", ", summary.name, volume);
      names += " " + summary.name;
    }
  }
  if (users.empty()) return;
  throw Failure{Exit::failed, fmt::format("{}, which is not this checkout's service: nothing was stopped or removed", users),
                fmt::format("look at it (docker inspect{0}); when it may go (docker rm{0}), codops setup-dev --reset", names)};
}

void stop_containers(const Workspace& workspace, const Limits& limits) {
  for (const auto& container : containers_of(workspace, limits)) workspace.api->stop_container(container.id, std::chrono::seconds{30}, limits);
}

void remove_containers(const Workspace& workspace, const Limits& limits) {
  for (const auto& container : containers_of(workspace, limits)) {
    workspace.api->stop_container(container.id, std::chrono::seconds{30}, limits);
    workspace.api->remove_container(container.id, true, true, limits);
  }
  for (const auto& volume : volumes_of(workspace, limits)) workspace.api->remove_volume(volume, limits);
}

}  // namespace codops::ops::dev
