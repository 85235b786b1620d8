#pragma once
// The application's database as its containers see it, and a way to it from here.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/io/postgres.hpp"
#include "lib/migrate/source.hpp"
#include "lib/ops/desired.hpp"
#include "lib/ops/host.hpp"
#include "lib/ops/observed.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops {

struct DatabaseAccess {
  std::string service;              // whose environment names the database: the application's
  io::postgres::Target inside;      // as that service reaches it
  std::string container;            // the database's own container; empty: it is elsewhere
  // Made by reach():
  io::postgres::Target target;
  std::shared_ptr<target::Endpoint> endpoint;  // keeps the way open
};

// From the variable database.url_variable (DATABASE_URL) of the definitions, else from pieces (DB_HOST, …) that are a PostgreSQL's. nullopt:
// no service has either.
std::optional<DatabaseAccess> find_database(const Host& host, const Desired& desired, const release::Release& next);
// The target by way of an endpoint: its host and port, or its Unix socket.
void go_by(const target::Endpoint& endpoint, io::postgres::Target& target);
// Opens the way: the container's address, an exec in it, or the host as it stands.
void reach(Host& host, DatabaseAccess& access, const Limits& limits);

// The new version's own migration files, out of its image (migrate.image_path, or where they usually are), else of the
// checkout when migrate.path names a folder. Empty: it has none.
std::vector<migrate::File> migrations_of(Host& host, const release::ServiceRecord& service, const Limits& limits);

// The same for a verb that is no deploy: those that a deploy of `version` would apply. Pulls the image when the engine does not have
// it, unless told not to. Failure{config} when there are none.
std::vector<migrate::File> migrations_of_version(Host& host, const std::string& version, bool may_pull, const Limits& limits);

// The value of `variable` in the compose file: of migrate.service, else of the first service that has it. nullopt: none has.
struct DefinedUrl {
  std::string service, value;
};
std::optional<DefinedUrl> url_in_definitions(const compose::Project& project, const settings::Environment& environment, const std::string& variable);

// The same of pieces: DB_HOST and its like. `asked`: as in_pieces() has it.
std::optional<DefinedUrl> pieces_in_definitions(const compose::Project& project, const settings::Environment& environment, bool asked);

// nullopt: none runs.
std::optional<ReachedContainer> reach_service(target::Containers& containers, target::Dialer& dialer, const std::string& service, io::postgres::Target& target, const Limits& limits);

}  // namespace codops::ops
