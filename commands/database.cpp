#include "commands/database.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <filesystem>

#include "commands/host.hpp"
#include "lib/io/files.hpp"
#include "lib/ops/render.hpp"
#include "lib/text/dotenv.hpp"

namespace codops::commands {

namespace {

std::optional<std::string> from_files(Services& services, const settings::Environment& environment, const std::string& name) {
  std::optional<std::string> value;
  for (const auto& file : environment.env_files) {
    const auto path = environment.directory / file;
    const auto text = io::read_file_if_there(path);
    if (!text) continue;
    const auto outside = [&](std::string_view variable) { return services.variable(variable); };
    for (const auto& assignment : text::parse_dotenv(*text, path.filename().string(), outside)) {
      if (assignment.name == name && assignment.value) value = assignment.value;
    }
  }
  return value;
}

std::optional<compose::Project> compose_project(Services& services, const settings::Environment& environment) {
  if (environment.engine == settings::Engine::kubernetes) return std::nullopt;
  try {
    // Its variables may be required: a version that reaches nothing stands in.
    return ops::load_compose(environment, "v0", services.settings_sources().variables);
  } catch (const Failure&) {
    return std::nullopt;  // a project without a compose file, or one whose deploy will say what is wrong with it
  }
}

bool resolves(const std::string& host) {
  addrinfo* found = nullptr;
  const bool known = ::getaddrinfo(host.c_str(), nullptr, nullptr, &found) == 0;
  if (found != nullptr) ::freeaddrinfo(found);
  return known;
}

}  // namespace

ReachedDatabase reach_database(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable) {
  ReachedDatabase reached;
  reached.target = database_target(services, environment, url_variable);
  reached.shown = reached.target.describe();
  const auto service = environment.database.service.empty() ? reached.target.host : environment.database.service;
  // Names of services have no dots; neither compose file nor engine is asked about an address.
  if (service.empty() || service == "localhost" || service.find_first_of("./:,") != std::string::npos) return reached;
  const auto project = compose_project(services, environment);
  if (!project || !project->services.contains(service)) return reached;
  std::optional<Failure> why;
  try {
    reached.engine = open_engine(services, environment.name);
    reached.container = ops::reach_service(reached.engine->containers(), reached.engine->dialer(), service, reached.target, services.limits());
    if (reached.container) return reached;
  } catch (const Failure& failure) {
    services.limits().check("reaching the database");
    why = failure;
  }
  if (resolves(reached.target.host)) return reached;
  if (why) throw *why;
  throw Failure{Exit::unavailable, fmt::format("the database is in the service \"{}\", of which no container runs", service),
                fmt::format("docker compose up -d {0}, or: codops deploy {1} VERSION", service, environment.name)};
}

io::postgres::Target database_target(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable) {
  const auto wanted = url_variable.value_or(environment.database.url_variable.empty() ? "DATABASE_URL" : environment.database.url_variable);
  std::optional<std::string> url;
  if (!url_variable) url = from_files(services, environment, wanted);
  if (!url && !url_variable) {
    if (const auto project = compose_project(services, environment)) {
      if (const auto defined = ops::url_in_definitions(*project, environment, wanted)) url = defined->value;
    }
  }
  if (!url) url = services.variable(wanted);
  if (!url) {
    throw Failure{Exit::config, fmt::format("\"{}\" says nowhere which database it has: {} is not set", environment.name, wanted),
                  url_variable ? fmt::format("export {}", wanted) : fmt::format("set {} in .env.{}, or name another variable: --database-url-env NAME", wanted, environment.name)};
  }
  auto target = io::postgres::parse_target(*url, wanted);
  if (!environment.migrate.schema.empty()) target.schema = environment.migrate.schema;
  return target;
}

}  // namespace codops::commands
