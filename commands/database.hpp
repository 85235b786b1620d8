#pragma once
// Which database an environment's is, for verbs that speak to it.
#include <optional>
#include <string>

#include "commands/services.hpp"
#include "lib/io/postgres.hpp"

namespace codops::commands {

// From the variable `url_variable` (--database-url-env) of codops' own environment; without it database.url_variable
// (DATABASE_URL) of the environment's files, then of codops' own environment. migrate.schema goes over the URL's.
// Failure{config} names what to set.
io::postgres::Target database_target(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable);

}  // namespace codops::commands
