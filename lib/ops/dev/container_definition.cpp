#include "lib/ops/dev/container_definition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/engine/docker/containers.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/io/crypto.hpp"

namespace codops::ops::dev {

using namespace engine::docker;
using target::HealthState;
using target::RunState;

Filters of_project(const Workspace& workspace, const std::string& service) {
  std::vector<std::string> labels{fmt::format("{}={}", compose_project_label, workspace.compose->name), fmt::format("{}=False", compose_oneoff_label)};
  if (!service.empty()) labels.push_back(fmt::format("{}={}", compose_service_label, service));
  return {{"label", labels}};
}

std::string container_name(const Workspace& workspace, const compose::Service& service) {
  return service.container_name.empty() ? fmt::format("{}-{}-1", workspace.compose->name, service.name) : service.container_name;
}
std::optional<ContainerDetails> find_container_of(const Workspace& workspace, const std::string& service, const Limits& limits) {
  const auto all = workspace.api->containers(of_project(workspace, service), true, limits);
  if (all.empty()) return std::nullopt;
  const auto named = std::find_if(all.begin(), all.end(), [name = container_name(workspace, workspace.compose->services.at(service))](const auto& one) { return one.name == name; });
  return workspace.api->find_container(named == all.end() ? all.front().id : named->id, limits);
}

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

Endpoints missing_endpoints(const Workspace& workspace, const compose::Service& service, const ContainerDetails& details) {
  auto endpoints = endpoints_of(workspace, service);
  endpoints.erase(std::remove_if(endpoints.begin(), endpoints.end(), [&](const auto& one) { return details.networks.count(one.first) != 0; }), endpoints.end());
  return endpoints;
}

nlohmann::json body_of(const Workspace& workspace, const compose::Service& service) {
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

bool is_up(const compose::Service& service, const ContainerDetails& details, JobEnd ending) {
  if (ending != JobEnd::never && details.state == RunState::exited && details.exit_code == 0) return true;
  if (ending == JobEnd::must) return false;
  if (details.state != RunState::running) return false;
  return !has_healthcheck(service, details) || details.health == HealthState::healthy;
}

std::string state_text(const ContainerDetails& details) {
  if (details.state == RunState::running) return details.health == HealthState::healthy ? "healthy" : details.health == HealthState::starting ? "starting" : details.health == HealthState::unhealthy ? "unhealthy" : "running";
  if (details.state == RunState::exited) return fmt::format("exited with {}", details.exit_code);
  if (details.state == RunState::paused) return "paused";
  if (details.state == RunState::restarting) return "restarting";
  return details.state == RunState::created ? "created" : "dead";
}

std::string stopped_key(const std::string& service) { return "stopped:" + service; }

JobEnd ending_of(const Workspace& workspace, const std::string& name, const std::string& container, const scaffold::dev::Ledger& ledger) {
  const auto& service = workspace.compose->services.at(name);
  if (is_one_shot(*workspace.compose, name)) return JobEnd::must;
  const bool restarts = !service.restart.empty() && service.restart != "no" && !service.restart.starts_with("on-failure");
  const bool is_store = name == workspace.postgres.service || name == workspace.redis.service;
  const bool is_asked = service.healthcheck && !service.healthcheck->disable;
  if (restarts || is_store || is_asked || !service.ports.empty()) return JobEnd::never;
  // What `--down` stopped may have ended with 0, too.
  return !container.empty() && ledger.is(stopped_key(name), container) ? JobEnd::never : JobEnd::may;
}

bool is_one_shot(const compose::Project& project, const std::string& service) {
  return std::any_of(project.services.begin(), project.services.end(), [&](const auto& entry) {
    const auto found = entry.second.depends_on.find(service);
    return found != entry.second.depends_on.end() && found->second.condition == compose::Dependency::Condition::completed;
  });
}

}  // namespace codops::ops::dev
