#include "commands/database.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <filesystem>

#include "commands/host.hpp"
#include "lib/io/files.hpp"
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

// Null: settings of the engine are wrong, which its own verbs say; a database elsewhere needs none.
std::unique_ptr<ops::Engine> engine_if_any(Services& services, const settings::Environment& environment) {
  try {
    return open_engine(services, environment.name);
  } catch (const Failure&) {
    return nullptr;
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
                fmt::format("codops status {0}, or: codops deploy {0} VERSION", environment.name)};
}

io::postgres::Target database_target(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable) {
  const auto wanted = url_variable.value_or(environment.database.url_variable.empty() ? "DATABASE_URL" : environment.database.url_variable);
  std::optional<std::string> url;
  if (!url_variable) url = from_files(services, environment, wanted);
  if (!url && !url_variable) {
    if (const auto engine = engine_if_any(services, environment)) url = engine->defined_url(wanted);
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
