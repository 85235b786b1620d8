#include "commands/database.hpp"

#include <fmt/format.h>

#include <filesystem>

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

}  // namespace

io::postgres::Target database_target(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable) {
  const auto wanted = url_variable.value_or(environment.database.url_variable.empty() ? "DATABASE_URL" : environment.database.url_variable);
  std::optional<std::string> url;
  if (!url_variable) url = from_files(services, environment, wanted);
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
