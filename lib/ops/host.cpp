#include "lib/ops/host.hpp"

#include <fmt/format.h>

#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/containers.hpp"
#include "lib/engine/docker/dialer.hpp"
#include "lib/engine/docker/lock.hpp"
#include "lib/engine/docker/ssh.hpp"
#include "lib/engine/docker/state_store.hpp"
#include "lib/ops/compose_project.hpp"
#include "lib/ops/hooks.hpp"
#include "lib/ops/own_containers.hpp"

namespace codops::ops {
namespace {

using namespace engine::docker;

// Settings may name the engine; else the variables and contexts that docker itself goes by.
Endpoint endpoint_of(const settings::Environment& environment, const std::map<std::string, std::string>& shell) {
  const auto look = [&](std::string_view name) -> std::optional<std::string> {
    if (environment.host.starts_with("context:")) {
      if (name == "DOCKER_HOST") return std::nullopt;
      if (name == "DOCKER_CONTEXT") return environment.host.substr(8);
    } else if (!environment.host.empty() && name == "DOCKER_HOST") {
      return environment.host;
    }
    const auto found = shell.find(std::string{name});
    return found == shell.end() ? std::nullopt : std::optional{found->second};
  };
  return resolve_endpoint(look);
}

RegistryAuth auth_of(const std::map<std::string, std::string>& shell) {
  const auto look = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = shell.find(std::string{name});
    return found == shell.end() ? std::nullopt : std::optional{found->second};
  };
  return RegistryAuth{look, run_credential_helper};
}

}  // namespace

Host::Host(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock)
    : environment_{std::move(environment)}, shell_{std::move(shell)}, reporter_{reporter}, clock_{clock},
      project_{project_name(environment_, shell_)} {
  if (environment_.engine != settings::Engine::docker) {
    throw Failure{Exit::config, fmt::format("environment \"{}\" is no Docker host, which this needs", environment_.name)};
  }
  name_hooks(environment_, shell_);
  api_ = std::make_unique<Api>(endpoint_of(environment_, shell_), auth_of(shell_), environment_.timeouts.engine);
  state_ = std::make_unique<StateVolume>(*api_, project_);
  store_ = std::make_unique<release::ReleaseStore>(*state_);
  containers_ = std::make_unique<OwnContainers>(std::make_unique<ProjectContainers>(*api_, project_), [this](const Limits& limits) { require_owner(store_->environment(limits)); });
  dialer_ = std::make_unique<ContainerDialer>(*api_);
}

Host::~Host() = default;

bool Host::remote() const { return api_->client().endpoint().remote(); }

std::string Host::shown() const {
  const auto& endpoint = api_->client().endpoint();
  return endpoint.remote() ? "docker at " + endpoint.shown : "docker on unix socket";
}

const EngineInfo& Host::engine_info(const Limits& limits) {
  const std::lock_guard guard{info_mutex_};
  if (!info_) info_ = std::make_unique<EngineInfo>(api_->info(limits));
  return *info_;
}

WallTime Host::api_clock() const { return api_->client().engine_now().value_or(clock_.now()); }

std::unique_ptr<target::LockPrimitive> Host::lock(const std::string& purpose) {
  return std::make_unique<LockContainer>(*api_, project_, purpose);
}

void Host::require_owner(const std::string& owner) const {
  if (owner.empty() || owner == environment_.name) return;
  throw Failure{Exit::config,
                fmt::format("the project \"{}\" on this engine belongs to the environment \"{}\", not to \"{}\"", project_,
                            owner, environment_.name),
                fmt::format("give {} a name of its own: environments.{}.project in codops.yaml", environment_.name, environment_.name)};
}

}  // namespace codops::ops
