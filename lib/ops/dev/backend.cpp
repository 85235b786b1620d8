// Which backend runs the stores: an engine where one answers and there is a compose file for it, else the host's packages.
#include <fmt/format.h>

#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/ssh.hpp"
#include "lib/ops/dev/workspace.hpp"

namespace codops::ops::dev {
namespace {

// A hung engine costs this much once, then the run goes on without it.
constexpr Milliseconds engine_patience{3'000};

std::shared_ptr<engine::docker::Api> open_engine(const Workspace& workspace) {
  const auto& host = workspace.environment.host;
  const auto look = [&](std::string_view name) -> std::optional<std::string> {
    if (name == "DOCKER_HOST" && !host.empty() && !host.starts_with("context:")) return host;
    if (name == "DOCKER_HOST" && host.starts_with("context:")) return std::nullopt;
    if (name == "DOCKER_CONTEXT" && host.starts_with("context:")) return host.substr(8);
    const auto found = workspace.shell.find(std::string{name});
    return found == workspace.shell.end() ? std::nullopt : std::optional{found->second};
  };
  return std::make_shared<engine::docker::Api>(engine::docker::resolve_endpoint(look), engine::docker::RegistryAuth{look, engine::docker::run_credential_helper});
}

}  // namespace

void choose_backend(Workspace& workspace, const std::string& wanted, const Limits& limits) {
  workspace.backend = wanted == "docker" ? Backend::docker : Backend::local;
  if (wanted == "local") return;
  if (wanted == "auto" && !workspace.compose && !workspace.compose_failure) {
    workspace.backend_why = "there is no compose file for development";
    return;
  }
  try {
    auto api = open_engine(workspace);
    workspace.remote_engine = api->client().endpoint().remote();
    if (wanted == "auto" && workspace.remote_engine) {
      workspace.backend_why = fmt::format("the engine at {} is not on this machine (--backend docker takes it)", api->client().endpoint().shown);
      return;
    }
    api->ping(limits.within(engine_patience));
    workspace.api = std::move(api);
    workspace.backend = Backend::docker;
  } catch (const Failure& failure) {
    limits.check("looking for an engine");
    if (wanted == "auto") workspace.backend_why = failure.code() == Exit::deadline ? "the engine does not answer" : failure.message();
    else workspace.engine_failure = failure.code() == Exit::deadline
                                        ? Failure{Exit::unavailable, "the engine accepts, and does not answer within 3 s", "restart it, or use the host's packages: --backend local"}
                                        : Failure{failure.code(), failure.message(), failure.hint().empty() ? "--backend local" : failure.hint() + ", or --backend local"};
  }
}

}  // namespace codops::ops::dev
