#pragma once
// Which database an environment's is, for verbs that speak to it.
#include <memory>
#include <optional>
#include <string>

#include "commands/services.hpp"
#include "lib/io/postgres.hpp"
#include "lib/io/redis_probe.hpp"
#include "lib/ops/database.hpp"
#include "lib/ops/engine.hpp"
#include "lib/ops/store_kind.hpp"

namespace codops::commands {

// From the variable `url_variable` (--database-url-env) of codops' own environment; without it database.url_variable
// (DATABASE_URL) of the environment's files, then of the compose file's services; else pieces of it (DB_HOST, PGHOST, …) there; then the
// variable of codops' own environment, whose pieces are psql's and no application's.
// migrate.schema goes over the URL's. Failure{config} names what to set.
io::postgres::Target database_target(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable);

// The value of a variable in the environment's files; nullopt: none has it.
std::optional<std::string> variable_in_files(Services& services, const settings::Environment& environment, const std::string& name);

// A database as it is reached from here. Connections live no longer than this.
struct ReachedDatabase {
  io::postgres::Target target;
  std::string shown;  // as the application names it: `"shop" on postgres:5432`
  // When it runs in a container of the project:
  std::unique_ptr<ops::Engine> engine;
  std::optional<ops::ReachedContainer> container;
};

// A host that is a service of the compose file (or database.service) is reached through its container, by its address or by an
// exec in it; without one that runs as the name resolves. Failure{unavailable} says how to start it.
ReachedDatabase reach_database(Services& services, const settings::Environment& environment, const std::optional<std::string>& url_variable);

// What the environment's files say in pieces; the last file's values hold. `asked`: as in_pieces() of lib/ops/store_kind.hpp has it.
std::optional<ops::InPieces> pieces_in_files(Services& services, const settings::Environment& environment, io::Store store, const compose::Project* project, bool asked);

// Redis, found and reached the same way: redis.url_variable (REDIS_URL), or REDIS_HOST and its like. nullopt: nothing names one.
struct ReachedRedis {
  io::RedisTarget target;
  std::unique_ptr<ops::Host> host;
  std::unique_ptr<target::Endpoint> endpoint;
};
std::optional<ReachedRedis> reach_redis(Services& services, const settings::Environment& environment);

}  // namespace codops::commands
