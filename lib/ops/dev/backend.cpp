// Which backend runs the stores: the one that has the checkout's databases; before there are any, an engine where one answers and there
// is a compose file for it, else the host's packages.
#include <fmt/format.h>

#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/ssh.hpp"
#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/local_redis.hpp"

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

bool has_local_data(const Workspace& workspace) {
  if (scaffold::dev::LocalPostgres{workspace.project}.has_data() || scaffold::dev::LocalRedis{workspace.project}.has_data()) return true;
  std::string hint;
  return !scaffold::dev::data_elsewhere(workspace.project, "postgres", "data/PG_VERSION", hint).empty();
}

// Opens the engine, or says why it can't be had.
std::optional<Failure> look_for_engine(Workspace& workspace, bool remote_too, const Limits& limits) {
  try {
    auto api = open_engine(workspace);
    workspace.engine_place = api->client().endpoint().shown;
    workspace.remote_engine = api->client().endpoint().remote();
    if (!remote_too && workspace.remote_engine) {
      return Failure{Exit::unavailable, fmt::format("the engine at {} is not on this machine", workspace.engine_place), "--backend docker takes it"};
    }
    api->ping(limits.within(engine_patience));
    workspace.api = std::move(api);
    return std::nullopt;
  } catch (const Failure& failure) {
    limits.check("looking for an engine");
    if (failure.code() == Exit::deadline) return Failure{Exit::unavailable, "the engine accepts, and does not answer within 3 s", "restart it"};
    return failure;
  }
}

void tell_change(Workspace& workspace, const std::optional<scaffold::dev::Done>& known) {
  if (!known || workspace.engine_failure) return;
  const bool was_docker = known->inputs == name_of(Backend::docker);
  if (was_docker && workspace.backend == Backend::local) {
    workspace.notes.push_back(fmt::format("the databases that this checkout had in the engine at {} stay there: --backend docker", known->note));
  } else if (was_docker && known->note != workspace.engine_place) {
    workspace.notes.push_back(fmt::format("this checkout's databases were in the engine at {}, and this one is at {}", known->note, workspace.engine_place));
  } else if (!was_docker && workspace.backend == Backend::docker && has_local_data(workspace)) {
    workspace.notes.push_back("the databases that this checkout had by the host's packages stay there: --backend local");
  }
}

// With nobody's word for it: where the databases are, else an engine where there is one.
void choose_by_data(Workspace& workspace, const std::optional<scaffold::dev::Done>& known, const Limits& limits) {
  const bool was_docker = known && known->inputs == name_of(Backend::docker);
  if (!workspace.compose && !workspace.compose_failure && !was_docker) {
    workspace.backend_why = "there is no compose file for development";
    return;
  }
  const auto away = look_for_engine(workspace, false, limits);
  if (was_docker) {
    workspace.backend = Backend::docker;
    if (!away) return;
    workspace.engine_failure = Failure{Exit::unavailable, fmt::format("this checkout's databases are in the engine at {}, and {}", known->note, away->message()),
                                       fmt::format("{}, then codops setup-dev; or, beginning with empty databases of the host's packages: --backend local",
                                                   away->hint().empty() ? "start it" : away->hint())};
    return;
  }
  if (away) {
    workspace.backend_why = away->message();
    if (workspace.remote_engine) workspace.backend_why += " (--backend docker takes it)";
  } else if (has_local_data(workspace)) {
    workspace.backend_why = "this checkout's databases are there (--backend docker takes the engine, and leaves them)";
  } else {
    workspace.backend = Backend::docker;
  }
}

}  // namespace

void choose_backend(Workspace& workspace, const std::string& wanted, const Limits& limits) {
  const auto known = scaffold::dev::Ledger{workspace.folder}.find(backend_key);
  workspace.backend = wanted == "docker" ? Backend::docker : Backend::local;
  if (wanted == "auto") {
    choose_by_data(workspace, known, limits);
  } else if (wanted == "docker") {
    if (const auto away = look_for_engine(workspace, true, limits)) {
      workspace.engine_failure = Failure{away->code(), away->message(), away->hint().empty() ? "--backend local" : away->hint() + ", or --backend local"};
    }
  }
  tell_change(workspace, known);
}

}  // namespace codops::ops::dev
