#include "lib/migrate/provision.hpp"

#include <fmt/format.h>

namespace codops::migrate {

namespace pg = io::postgres;

std::vector<ProvisionStep> provision_steps(const Provision& provision) {
  const auto owner = pg::quote_identifier(provision.owner);
  const auto owner_text = pg::quote_literal(provision.owner);
  const auto database = pg::quote_identifier(provision.database);
  const auto database_text = pg::quote_literal(provision.database);
  std::vector<ProvisionStep> steps;
  if (!provision.owner.empty()) {
    const bool with_password = !provision.owner_password.empty();
    steps.push_back({fmt::format("role \"{}\"", provision.owner), false, fmt::format("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = {})", owner_text),
                     fmt::format("CREATE ROLE {} LOGIN{}", owner, with_password ? " PASSWORD :password" : ""), with_password});
  }
  // Whoever is no superuser gives a database away only to a role that it may be.
  const auto database_is_owners = fmt::format("EXISTS (SELECT FROM pg_database WHERE datname = {} AND pg_get_userbyid(datdba) = {})", database_text, owner_text);
  if (!provision.owner.empty()) {
    steps.push_back({fmt::format("the administrator may act as \"{}\"", provision.owner), false,
                     fmt::format("SELECT {} OR pg_has_role(current_user, {}, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)", database_is_owners,
                                 owner_text),
                     fmt::format("GRANT {} TO CURRENT_USER", owner), false});
  }
  steps.push_back({fmt::format("database \"{}\"", provision.database), false,
                   fmt::format("SELECT EXISTS (SELECT FROM pg_database WHERE datname = {})", database_text),
                   fmt::format("CREATE DATABASE {}{} TEMPLATE template0 ENCODING 'UTF8'", database, provision.owner.empty() ? "" : " OWNER " + owner), false});
  for (const auto& extension : provision.extensions) {
    steps.push_back({fmt::format("extension \"{}\"", extension), true,
                     fmt::format("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = {})", pg::quote_literal(extension)),
                     fmt::format("CREATE EXTENSION IF NOT EXISTS {}", pg::quote_identifier(extension)), false});
  }
  if (provision.owner.empty()) return steps;
  steps.push_back({fmt::format("owner of \"{}\"", provision.database), false,
                   fmt::format("SELECT pg_get_userbyid(datdba) = {} FROM pg_database WHERE datname = {}", owner_text, database_text),
                   fmt::format("ALTER DATABASE {} OWNER TO {}", database, owner), false});
  // Before PostgreSQL 15 everybody may create in "public"; from 15 on only the database's owner.
  steps.push_back({"nobody else creates in schema \"public\"", true,
                   "SELECT NOT EXISTS (SELECT FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname = 'public' AND "
                   "a.grantee = 0 AND a.privilege_type = 'CREATE')",
                   "REVOKE CREATE ON SCHEMA public FROM PUBLIC", false});
  steps.push_back({fmt::format("\"{}\" creates in schema \"public\"", provision.owner), true,
                   fmt::format("SELECT has_schema_privilege({0}, 'public', 'CREATE') AND has_schema_privilege({0}, 'public', 'USAGE')", owner_text),
                   fmt::format("GRANT USAGE, CREATE ON SCHEMA public TO {}", owner), false});
  return steps;
}

std::string to_sql(const Provision& provision, const std::vector<ProvisionStep>& steps) {
  std::string text;
  bool inside = false;
  for (const auto& step : steps) {
    if (step.inside != inside) text += step.inside ? fmt::format("\\connect {}\n", pg::quote_identifier(provision.database)) : "\\connect postgres\n";
    inside = step.inside;
    auto sql = step.sql;
    if (step.secret) sql.replace(sql.find(":password"), 9, "'" + std::string{Secret::shown} + "'");
    text += fmt::format("-- {}\n{};\n", step.what, sql);
  }
  return text;
}

ProvisionOutcome provision(const Provision& wanted, const pg::Target& admin, Reporter& reporter, const Limits& limits) {
  auto maintenance = pg::Connection::open_when_ready(admin, limits);
  std::optional<pg::Connection> inside;
  ProvisionOutcome outcome;
  for (const auto& step : provision_steps(wanted)) {
    if (step.inside && !inside) {
      auto target = admin;
      target.database = wanted.database;
      inside = pg::Connection::open(target, limits);
    }
    auto& connection = step.inside ? *inside : maintenance;
    if (!step.done_query.empty() && connection.query(step.done_query, limits).boolean(0, 0)) {
      outcome.unchanged.push_back(step.what);
      continue;
    }
    auto sql = step.sql;
    // The server's log may show statements: it gets the verifier, never the password.
    if (step.secret) sql.replace(sql.find(":password"), 9, pg::quote_literal(connection.password_verifier(wanted.owner, wanted.owner_password)));
    try {
      connection.query(sql, limits);
    } catch (const pg::DatabaseError& error) {
      if (error.sqlstate() != "42501") throw;
      throw Failure{error.code(), fmt::format("{}: {}", step.what, error.message()),
                    "--admin-url-env NAME names the URL of a role that may; --print prints the SQL for somebody who may"};
    }
    outcome.made.push_back(step.what);
    reporter.note("made " + step.what);
  }
  return outcome;
}

}  // namespace codops::migrate
