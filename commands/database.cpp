#include "commands/database.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <filesystem>

#include "commands/host.hpp"
#include "lib/io/files.hpp"
#include "lib/ops/compose_project.hpp"
#include "lib/settings/read_if_there.hpp"
#include "lib/text/dotenv.hpp"

namespace codops::commands {

namespace {

// Its variables may be required: a version that reaches nothing stands in. nullopt: a project without a compose file, or one whose
// deploy will say what is wrong with it.
std::optional<compose::Project> compose_project(Services& services, const settings::Environment& environment) {
  if (environment.engine == settings::Engine::kubernetes) return std::nullopt;
  try {
    return ops::load_compose(environment, "v0", services.settings_sources().variables);
  } catch (const Failure&) {
    return std::nullopt;
  }
}

// Null: settings of the engine are wrong, which its own verbs say; a database elsewhere needs none.
std::unique_ptr<ops::Engine> engine_if_any(Services& services, const settings::Environment& environment) {
  try {
    return open_engine(services, environment.name);
  } catch (const Failure&) {
    return nullptr;
  }
}

std::map<std::string, std::string> variables_in_files(Services& services, const settings::Environment& environment) {
  std::map<std::string, std::string> variables;
  for (const auto& file : environment.env_files) {
    const auto path = environment.directory / file;
    const auto text = settings::read_if_there(path);
    if (!text) continue;
    const auto outside = [&](std::string_view variable) { return services.variable(variable); };
    for (const auto& assignment : text::parse_dotenv(*text, path.filename().string(), outside)) {
      if (assignment.value) variables[assignment.name] = *assignment.value;
    }
  }
  return variables;
}

bool resolves(const std::string& host) {
  addrinfo* found = nullptr;
  const bool known = ::getaddrinfo(host.c_str(), nullptr, nullptr, &found) == 0;
  if (found != nullptr) ::freeaddrinfo(found);
  return known;
}

}  // namespace

std::optional<std::string> variable_in_files(Services& services, const settings::Environment& environment, const std::string& name) {
  const auto variables = variables_in_files(services, environment);
  const auto found = variables.find(name);
  return found == variables.end() ? std::nullopt : std::optional{found->second};
}

std::optional<ops::InPieces> pieces_in_files(Services& services, const settings::Environment& environment, io::Store store, const compose::Project* project, bool asked) {
  const auto variables = variables_in_files(services, environment);
  const auto look = [&](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional{found->second};
  };
  const bool is_compose = project != nullptr && !project->services.empty();
  return ops::in_pieces(store, look, project == nullptr ? ops::KindOfHost{} : ops::kinds_in(*project), {is_compose || environment.engine == settings::Engine::kubernetes, asked});
}

ReachedDatabase reach_database(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable) {
  ReachedDatabase reached;
  reached.target = database_target(services, environment, url_variable);
  reached.shown = reached.target.describe();
  const auto service = environment.database.service.empty() ? reached.target.host : environment.database.service;
  // Neither definitions nor engine are asked about an address.
  const bool is_name = !service.empty() && service != "localhost" && service.find_first_of("/:,") == std::string::npos && service.find_first_not_of("0123456789.") != std::string::npos;
  if (!is_name) return reached;
  reached.engine = engine_if_any(services, environment);
  if (!reached.engine || !reached.engine->is_inside(service)) return reached;
  std::optional<Failure> why;
  try {
    reached.container = reached.engine->reach(service, reached.target, services.limits());
    if (reached.container) return reached;
  } catch (const Failure& failure) {
    services.limits().check("reaching the database");
    why = failure;
  }
  if (resolves(reached.target.host)) return reached;
  if (why) throw *why;
  throw Failure{Exit::unavailable, fmt::format("the database is in the service \"{}\", of which no container runs", service),
                environment.engine == settings::Engine::kubernetes
                    ? fmt::format("codops status {0}, or: codops deploy {0} VERSION", environment.name)
                    : fmt::format("docker compose up -d {}, or: codops deploy {} VERSION", service, environment.name)};
}

std::optional<ReachedRedis> reach_redis(Services& services, const settings::Environment& environment) {
  const auto variable = environment.redis.url_variable.empty() ? std::string{"REDIS_URL"} : environment.redis.url_variable;
  const auto project = compose_project(services, environment);
  auto url = variable_in_files(services, environment, variable);
  if (!url && project) {
    for (const auto& [name, service] : project->services) {
      const auto found = service.environment.find(variable);
      if (!url && found != service.environment.end() && found->second) url = found->second;
    }
  }
  if (!url) {
    auto pieces = pieces_in_files(services, environment, io::Store::redis, project ? &*project : nullptr, true);
    if (project) {
      for (const auto& [_, service] : project->services) {
        if (!pieces) pieces = ops::in_pieces(io::Store::redis, *project, service, true);
      }
    }
    if (pieces) url = std::move(pieces->url);
  }
  if (!url) url = services.variable(variable);
  if (!url) return std::nullopt;
  ReachedRedis reached;
  reached.target = io::parse_redis_url(*url);
  const auto& service = environment.redis.service.empty() ? reached.target.tcp.host : environment.redis.service;
  if (!project || service.empty() || !project->services.contains(service)) return reached;
  reached.host = open_host(services, environment.name);
  for (const auto& container : reached.host->containers().list(service, false, services.limits())) {
    if (container.state != target::RunState::running) continue;
    reached.endpoint = reached.host->dialer().dial(container.id, reached.target.tcp.port, services.limits());
    reached.target.tcp.via = {reached.endpoint->host(), reached.endpoint->port(), reached.endpoint->unix_socket()};
    return reached;
  }
  if (resolves(reached.target.tcp.host)) return reached;
  throw Failure{Exit::unavailable, fmt::format("Redis is in the service \"{}\", of which no container runs", service),
                fmt::format("docker compose up -d {}", service)};
}

io::postgres::Target database_target(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable) {
  const auto wanted = url_variable.value_or(environment.database.url_variable.empty() ? "DATABASE_URL" : environment.database.url_variable);
  std::optional<std::string> url;
  auto named = wanted;
  if (!url_variable) {
    const auto engine = engine_if_any(services, environment);
    url = variable_in_files(services, environment, wanted);
    if (!url && engine) url = engine->defined_url(wanted);
    if (!url) {
      const auto project = compose_project(services, environment);
      if (auto pieces = pieces_in_files(services, environment, io::Store::postgres, project ? &*project : nullptr, true)) {
        url = std::move(pieces->url);
        named = std::move(pieces->variable);
      }
    }
    if (!url && engine) url = engine->defined_in_pieces(true);
  }
  if (!url) url = services.variable(wanted);
  if (!url) {
    throw Failure{Exit::config, fmt::format("\"{}\" says nowhere which database it has: {}", environment.name, url_variable ? wanted + " is not set" : fmt::format("neither {} is set, nor DB_HOST and its like", wanted)),
                  url_variable ? fmt::format("export {}", wanted) : fmt::format("set {} in .env.{}, or name another variable: --database-url-env NAME", wanted, environment.name)};
  }
  auto target = io::postgres::parse_target(*url, named);
  if (!environment.migrate.schema.empty()) target.schema = environment.migrate.schema;
  return target;
}

}  // namespace codops::commands
