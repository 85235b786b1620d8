#pragma once
// The application's database as its containers see it, and a way to it from here.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/migrate/source.hpp"
#include "lib/ops/desired.hpp"
#include "lib/ops/host.hpp"
#include "lib/ops/observed.hpp"

namespace codops::ops {

struct DatabaseAccess {
  std::string service;              // whose environment names the database: the application's
  io::postgres::Target inside;      // as that service reaches it
  std::string container;            // the database's own container; empty: it is elsewhere
  // Made by reach():
  io::postgres::Target target;
  std::shared_ptr<target::Endpoint> endpoint;  // keeps the way open
};

// From the variable database.url_variable (DATABASE_URL) of the definitions. nullopt: no service has one, or it is no PostgreSQL.
std::optional<DatabaseAccess> find_database(const Host& host, const Desired& desired, const release::Release& next);
// Opens the way: the container's address, an exec in it, or the host as it stands.
void reach(Host& host, DatabaseAccess& access, const Limits& limits);

// The new version's own migration files, out of its image (migrate.image_path, or where they usually are), else of the
// checkout when migrate.path names a folder. Empty: it has none.
std::vector<migrate::File> migrations_of(Host& host, const release::ServiceRecord& service, const Limits& limits);

}  // namespace codops::ops
