#pragma once
// `db init`: the role, the database, its extensions and grants. Each step says how to see that it is done already, so that
// running it again changes nothing.
#include <string>
#include <vector>

#include "lib/base/reporter.hpp"
#include "lib/io/postgres.hpp"

namespace codops::migrate {

struct Provision {
  std::string database;
  std::string owner;
  Secret owner_password;                // empty: the role keeps what it has
  std::vector<std::string> extensions;
};

struct ProvisionStep {
  std::string what;       // `role "shop"`
  bool inside{false};     // runs in the new database, not in the maintenance one
  std::string done_query; // one boolean; empty: always run
  std::string sql;        // the password is `:password`, a SCRAM verifier when it runs
  bool secret{false};
};

// Pure.
std::vector<ProvisionStep> provision_steps(const Provision& provision);
std::string to_sql(const Provision& provision, const std::vector<ProvisionStep>& steps);  // for --print; no password in it

struct ProvisionOutcome {
  std::vector<std::string> made, unchanged;
};
// `admin` names a role that may create roles and databases, and a maintenance database ("postgres"). Waits for the server.
ProvisionOutcome provision(const Provision& provision, const io::postgres::Target& admin, Reporter& reporter, const Limits& limits);

}  // namespace codops::migrate
