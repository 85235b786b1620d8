// The databases inside the server, and their roles.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/migrate/provision.hpp"
#include "lib/ops/dev/container_definition.hpp"
#include "lib/ops/dev/status.hpp"
#include "lib/ops/dev/steps.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;
namespace pg = io::postgres;

pg::Connection connect(const pg::Target& target, const Limits& limits) { return pg::Connection::open(target, limits.within(database_connect_time)); }

pg::Target admin_of(const Workspace& workspace) {
  if (workspace.backend == Backend::local) return LocalPostgres{workspace.project}.admin(workspace.postgres.port);
  if (auto admin = workspace.compose_admin()) return *admin;
  auto target = workspace.database();
  target.database = "postgres";
  target.schema.clear();
  return target;
}

migrate::Provision provision_of(const Workspace& workspace) {
  const auto target = workspace.database();
  migrate::Provision wanted;
  wanted.database = target.database;
  wanted.owner = target.user;
  wanted.owner_password = target.password;
  wanted.extensions = workspace.environment.database.extensions;
  return wanted;
}

std::string provision_key(const Workspace& workspace) {
  const auto wanted = provision_of(workspace);
  std::string text = fmt::format("{}\n{}\n", wanted.database, wanted.owner);
  for (const auto& extension : wanted.extensions) text += extension + "\n";
  return io::sha256_hex(text).substr(0, 16);
}

// What the private server can't do for any role.
void require_usable(const Workspace& workspace, const pg::Target& target) {
  if (workspace.backend != Backend::local) return;
  const auto where = fmt::format("{} in {}", workspace.postgres.variable, workspace.postgres.file);
  if (target.password.empty()) throw Failure{Exit::config, where + " has no password", workspace.postgres.in_parts ? "DB_PASSWORD beside it, or PGPASSWORD" : "postgresql://USER:PASSWORD@localhost:5432/NAME"};
  if (target.user == LocalPostgres::superuser) {
    throw Failure{Exit::config, fmt::format("{} names the role \"{}\", which is setup-dev's own", where, target.user), "name another role there: it is made"};
  }
}

// Of a container that refuses the password.
std::string login_hint(const Workspace& workspace) {
  const auto admin = admin_of(workspace), asked = workspace.database();
  const auto file = workspace.postgres.file.empty() ? std::string{"the compose file"} : workspace.postgres.file;
  if (asked.user == admin.user && asked.password.reveal() != admin.password.reveal()) {
    return fmt::format("{} in {} and the compose file (POSTGRES_PASSWORD) have different passwords for \"{}\": write the one that the database was made with into both, then codops setup-dev",
                       workspace.postgres.variable, file, admin.user);
  }
  return fmt::format("the volume was made with another password: put that one into {}, or set this one: docker exec -it {} psql -U {} -d postgres -c '\\password'",
                     file, container_name(workspace, workspace.compose->services.at(workspace.postgres.service)), admin.user);
}

// In the ledger: those that could not be made.
constexpr const char* others_failed = "other databases";
std::string names_of(const std::vector<OtherDatabase>& others) {
  std::string names;
  for (const auto& one : others) names += (names.empty() ? "" : " ") + one.target.database;
  return names;
}

std::vector<OtherDatabase> missing_databases(const Workspace& workspace, pg::Connection& connection, const Limits& limits) {
  auto others = other_databases(workspace, workspace.database());
  if (others.empty()) return others;
  const auto there = connection.query("SELECT datname FROM pg_database", limits);
  std::erase_if(others, [&](const OtherDatabase& one) {
    for (std::size_t row = 0; row < there.size(); ++row) {
      if (there.text(row, 0) == one.target.database) return true;
    }
    return false;
  });
  return others;
}

// The private server's only: what the role before owns in this database goes to the new one, else nobody could migrate it any more.
void hand_over(pg::Connection& maintenance, pg::Target admin, const std::string& database, const std::string& from, const std::string& to, const Limits& limits) {
  // REASSIGN OWNED takes that role's other databases along.
  const auto kept = maintenance.query(fmt::format("SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = {} AND datname <> {}", pg::quote_literal(from), pg::quote_literal(database)), limits);
  admin.database = database;
  auto inside = connect(admin, limits);
  inside.query(fmt::format("REASSIGN OWNED BY {} TO {}", pg::quote_identifier(from), pg::quote_identifier(to)), limits);
  for (std::size_t row = 0; row < kept.size(); ++row) {
    maintenance.query(fmt::format("ALTER DATABASE {} OWNER TO {}", pg::quote_identifier(std::string{kept.text(row, 0)}), pg::quote_identifier(from)), limits);
  }
}

Finding look_at_database(const Context& context, const Limits& limits) {
  const auto& workspace = context.workspace;
  const auto target = workspace.database();
  require_usable(workspace, target);
  require_own_database(context, limits);
  try {
    auto connection = context.connection.take(target, limits.within(database_connect_time));
    const bool known = is_known_database(context, connection, limits);
    const auto missing = known ? missing_databases(workspace, connection, limits) : std::vector<OtherDatabase>{};
    context.connection.keep(std::move(connection));
    if (!missing.empty() && !context.ledger.is(others_failed, names_of(missing))) return {false, fmt::format("database \"{}\" ({}) is not there yet", missing.front().target.database, missing.front().named), {}, {}};
    if (known) return {true, fmt::format("\"{}\" of \"{}\"", target.database, target.user), {}, {}};
    return {false, "its role, grants and extensions were not looked at yet", {}, {}};
  } catch (const pg::DatabaseError& error) {
    if (error.code() != Exit::config) throw;
    // Of a server that was made a moment ago no more can be expected.
    if (error.sqlstate() == "3D000") return {false, fmt::format("database \"{}\" is not there yet", target.database), {}, {}};
    if (workspace.backend == Backend::local) return {false, fmt::format("role \"{}\" can't log in yet", target.user), {}, {}};
    return {false, error.message(), error.sqlstate() == "28P01" ? login_hint(workspace) : std::string{}, {}};
  }
}

// The server is this checkout's own: what the .env file says is what holds.
void set_password(pg::Connection& admin, const migrate::Provision& wanted, const Limits& limits) {
  if (wanted.owner_password.empty()) return;
  admin.query(fmt::format("ALTER ROLE {} LOGIN CREATEDB PASSWORD {}", pg::quote_identifier(wanted.owner),
                          pg::quote_literal(admin.password_verifier(wanted.owner, wanted.owner_password))), limits);
}

// The checkout's own database doesn't wait for these: one that can't be made is told, and tried again once their names change.
std::vector<std::string> make_others(const Context& context, pg::Connection& connection, const pg::Target& admin, const Limits& limits) {
  const auto& workspace = context.workspace;
  const auto main = workspace.database();
  const auto missing = missing_databases(workspace, connection, limits);
  std::vector<std::string> all;
  SilentReporter silent;
  for (const auto& other : missing) {
    migrate::Provision more;
    more.database = other.target.database;
    more.owner = other.target.user;
    more.owner_password = other.target.password;
    try {
      const auto made = migrate::provision(more, admin, silent, limits.within(Milliseconds{60'000})).made;
      all.insert(all.end(), made.begin(), made.end());
      if (workspace.backend != Backend::local || more.owner == main.user) continue;
      auto as_admin = connect(admin, limits);
      set_password(as_admin, more, limits);
    } catch (const Failure& failure) {
      limits.check("making databases");
      context.reporter.note(fmt::format("database \"{}\" ({}) was not made: {}", more.database, other.named, failure.message()));
      context.ledger.put(others_failed, {names_of(missing), {}});
    }
  }
  return all;
}

std::string make_database(const Context& context, const Limits& limits) {
  const auto& workspace = context.workspace;
  const auto wanted = provision_of(workspace);
  const auto admin = admin_of(workspace);
  SilentReporter silent;
  if (context.ledger.find("database")) {
    // Only others are missing: what the admin's password is need not be known any more.
    try {
      auto own = connect(workspace.database(), limits);
      if (is_known_database(context, own, limits)) {
        const auto made = make_others(context, own, admin, limits);
        return made.empty() ? fmt::format("\"{}\" was there", wanted.database) : fmt::format("made {}", fmt::join(made, ", "));
      }
    } catch (const Failure&) {
      limits.check("asking the database");
    }
  }
  // Values of the environment count only while a volume is made.
  const auto explain = [&](pg::DatabaseError& error) {
    if (error.sqlstate() == "28P01" && workspace.backend == Backend::docker) error.with_hint(login_hint(workspace));
  };
  std::string owner_before;
  if (workspace.backend == Backend::local) {
    auto connection = connect(admin, limits);
    const auto row = connection.query(fmt::format("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {}", pg::quote_literal(wanted.database)), limits);
    if (!row.empty()) owner_before = std::string{row.text(0, 0)};
  }
  auto outcome = [&] {
    try {
      return migrate::provision(wanted, admin, silent, limits.within(Milliseconds{60'000}));
    } catch (pg::DatabaseError& error) {
      explain(error);
      throw;
    }
  }();
  if (workspace.backend == Backend::local) {
    auto connection = connect(admin, limits);
    set_password(connection, wanted, limits);
    if (!owner_before.empty() && owner_before != wanted.owner && owner_before != LocalPostgres::superuser) {
      hand_over(connection, admin, wanted.database, owner_before, wanted.owner, limits);
      outcome.made.push_back(fmt::format("\"{}\" owner of what was \"{}\"'s", wanted.owner, owner_before));
    }
  }
  auto connection = [&] {
    try {
      return connect(workspace.database(), limits);
    } catch (pg::DatabaseError& error) {
      explain(error);
      throw;
    }
  }();
  for (auto& text : make_others(context, connection, admin, limits)) outcome.made.push_back(std::move(text));
  context.ledger.put("database", {provision_key(workspace) + " " + database_identity(connection, limits), {}});
  if (outcome.made.empty()) return fmt::format("\"{}\" was there", wanted.database);
  return fmt::format("made {}", fmt::join(outcome.made, ", "));
}

}  // namespace

std::string database_identity(pg::Connection& connection, const Limits& limits) {
  return std::string{connection.query("SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid FROM pg_database WHERE datname = current_database()", limits).text(0, 0)};
}

bool is_known_database(const Context& context, pg::Connection& connection, const Limits& limits) {
  return context.ledger.is("database", provision_key(context.workspace) + " " + database_identity(connection, limits));
}

void require_own_database(const Context& context, const Limits& limits) {
  if (context.server_is_looked_at) return;
  require_own_server(context.workspace, context.workspace.postgres, limits);
}

pg::Connection KeptConnection::take(const pg::Target& target, const Limits& limits) {
  std::optional<pg::Connection> kept;
  {
    const std::lock_guard guard{mutex_};
    kept.swap(kept_);
  }
  return kept && kept->usable() ? std::move(*kept) : pg::Connection::open(target, limits);
}

void KeptConnection::keep(pg::Connection connection) {
  const std::lock_guard guard{mutex_};
  kept_ = std::move(connection);
}

void add_database(const Context& context, Steps& steps) {
  const auto& workspace = context.workspace;
  if (!workspace.postgres.wanted) return;
  steps.push_back({"database", {workspace.postgres.name}, [&context](const Limits& limits) { return look_at_database(context, limits); },
                   [&context](const Progress&, const Limits& limits) { return make_database(context, limits); }});
  add_migrations(context, steps);
  add_seed(context, steps);
}

}  // namespace codops::ops::dev
