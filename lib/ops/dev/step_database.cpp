// The database inside the server: role and database, migrations, seed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/migrate/migrate.hpp"
#include "lib/migrate/provision.hpp"
#include "lib/ops/dev/seed_rows.hpp"
#include "lib/ops/dev/steps.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;
namespace pg = io::postgres;

constexpr Milliseconds connect_time{10'000};

pg::Connection connect(const pg::Target& target, const Limits& limits) { return pg::Connection::open(target, limits.within(connect_time)); }

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
  return fmt::format("the volume was made with another password: put that one into {}, or set this one: docker exec -it {}-{}-1 psql -U {} -d postgres -c '\\password'",
                     file, workspace.compose->name, workspace.postgres.service, admin.user);
}

// Other databases that the .env files name on this very server: of a second back end, of tests, Prisma's shadow.
struct OtherDatabase {
  pg::Target target;
  std::string named;  // "DATABASE_URL in users/.env"
};
std::vector<OtherDatabase> other_databases(const Workspace& workspace, const pg::Target& main) {
  std::vector<OtherDatabase> others;
  for (const auto& file : workspace.env) {
    for (const auto& statement : file.after.statements()) {
      const auto place = statement.value ? url_place(*statement.value) : std::nullopt;
      if (!place || store_of_scheme(place->scheme) != Store::postgres) continue;
      const bool here = is_loopback(place->host) ? (place->port.empty() ? "5432" : place->port) == main.port : is_container_name(workspace, Store::postgres, place->host);
      if (!here) continue;
      try {
        auto target = pg::parse_target(*statement.value);
        const bool own = target.database.empty() || target.user.empty() || target.database == main.database || target.database == "postgres" || target.database.starts_with("template");
        if (own || target.password.empty() || target.user == LocalPostgres::superuser) continue;
        if (std::any_of(others.begin(), others.end(), [&](const OtherDatabase& one) { return one.target.database == target.database; })) continue;
        others.push_back({std::move(target), fmt::format("{} in {}", statement.name, file.path)});
      } catch (const Failure&) {
        // The main one's is told by its own step; the others are their programs' to read.
      }
    }
  }
  return others;
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
  try {
    auto connection = context.connection.take(target, limits.within(connect_time));
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

migrate::Source source_of(const Workspace& workspace) {
  return migrate::recognise(migrate::read_folder(workspace.migrations.string()), migrate::layout_named(workspace.environment.migrate.source));
}

bool is_empty(pg::Connection& connection, const Limits& limits) {
  return !connection.query("SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND "
                           "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%')", limits).boolean(0, 0);
}

// A seed is due from before the first migration of an empty database until it has run: whatever dies in between, it comes.
void note_seed(const Context& context, pg::Connection& connection, const Limits& limits) {
  if (context.workspace.environment.setup_dev.seed.empty() || !is_empty(connection, limits)) return;
  context.ledger.drop(rows_before_seed);
  context.ledger.put("seed", {database_identity(connection, limits), "due"});
}

bool is_seed(const Context& context, const std::string& identity, std::string_view note) {
  const auto known = context.ledger.find("seed");
  return known && known->inputs == identity && known->note == note;
}

// Are the rows that are there those that the migrations brought, and nobody's else?
bool has_no_data(const Context& context, pg::Connection& connection, const Limits& limits) {
  const auto known = context.ledger.find(rows_before_seed);
  return rows_of(connection, limits) == (known ? known->inputs : std::string{});
}

std::string seed_by_hand(const Context& context) {
  std::string text;
  for (const auto& command : context.workspace.environment.setup_dev.seed) {
    const auto where = command.directory.empty() ? std::string{} : fmt::format("cd {} && ", command.directory);
    text += fmt::format("{}({}{})", text.empty() ? "" : " && ", where, fmt::join(command.run, " "));
  }
  return text;
}

std::vector<std::string> names_in(const migrate::Ledger& ledger, const std::vector<migrate::State>& states) {
  std::vector<std::string> names;
  for (const auto& item : ledger.items) {
    if (std::find(states.begin(), states.end(), item.state) != states.end()) names.push_back(fmt::format("\"{}\"", item.name));
  }
  return names;
}

Finding look_at_migrations(const Context& context, const Limits& limits) {
  auto connection = context.connection.take(context.workspace.database(), limits.within(connect_time));
  const auto ledger = migrate::status(source_of(context.workspace), connection, true, limits);
  context.connection.keep(std::move(connection));
  using migrate::State;
  const auto pending = ledger.count(State::pending) + ledger.count(State::unfinished);
  const auto failed = ledger.count(State::failed);
  const auto edited = ledger.count(State::edited), missing = ledger.count(State::missing);
  if (edited + missing != 0) {
    const auto names = names_in(ledger, {State::edited, State::missing});
    throw Failure{Exit::data, fmt::format("{} {} applied, and {} since: {}", fmt::join(names, ", "), names.size() == 1 ? "was" : "were",
                                          edited == 0 ? "the file is gone" : missing == 0 ? "the file was changed" : "files were changed or are gone", "the database and the files differ"),
                  "codops migrate status development; put the files back as they were, and write a new migration for the change"};
  }
  if (pending + failed == 0) return {true, fmt::format("up to date ({})", ledger.items.size()), {}, {}};
  return {false, fmt::format("{} pending{}", pending, failed == 0 ? "" : fmt::format(", {} failed", failed)), {}, {}};
}

class Forwarding final : public Reporter {
 public:
  explicit Forwarding(const Progress& progress) : progress_{progress} {}
  void report(const Event& event) override {
    if (!event.text.empty()) progress_(event.text);
  }

 private:
  const Progress& progress_;
};

std::string run_migrations(const Context& context, const Progress& progress, const Limits& limits) {
  const auto& settings = context.workspace.environment.migrate;
  auto connection = connect(context.workspace.database(), limits);
  note_seed(context, connection, limits);
  const bool seed_is_due = is_seed(context, database_identity(connection, limits), "due") && has_no_data(context, connection, limits);
  migrate::Options options;
  options.subject = "development";
  options.lock_wait = settings.lock_wait;
  options.lock_timeout = settings.lock_timeout;
  options.statement_timeout = settings.statement_timeout;
  Forwarding reporter{progress};
  const auto outcome = migrate::apply(source_of(context.workspace), connection, options, reporter, limits);
  // A migration may bring rows: they are no reason against the seed.
  if (seed_is_due) context.ledger.put(rows_before_seed, {rows_of(connection, limits), {}});
  if (outcome.applied.empty()) return "up to date";
  return fmt::format("{} applied, the last is {}", outcome.applied.size(), outcome.applied.back().name);
}

// Rows go into what the seed's own command sees: where that is not the checkout's own database, it doesn't run.
std::string why_not_seeded(const Context& context, const Limits& limits) {
  const auto& workspace = context.workspace;
  for (const auto& command : workspace.environment.setup_dev.seed) {
    if (auto other = sees_another(workspace, command.directory); !other.empty()) return other;
  }
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    if (store->wanted && !is_own_now(workspace, *store, limits)) return fmt::format("what is on {}:{} is not this checkout's own {}", store->host, store->port, store->name);
  }
  return {};
}

Finding look_at_seed(const Context& context, const Limits& limits) {
  if (auto other = why_not_seeded(context, limits); !other.empty()) {
    context.reporter.note(fmt::format("seed: not run: {}; by hand: {}", other, seed_by_hand(context)));
    return {true, "not run: " + other, "by hand: " + seed_by_hand(context), {}};
  }
  auto connection = context.connection.take(context.workspace.database(), limits.within(connect_time));
  const auto identity = database_identity(connection, limits);
  const bool empty = context.workspace.migrations.empty() && !context.ledger.is("seed", identity) && is_empty(connection, limits);
  const bool due = is_seed(context, identity, "due"), begun = is_seed(context, identity, "begun");
  const bool no_data = (due || begun) && has_no_data(context, connection, limits);
  context.connection.keep(std::move(connection));
  if (empty) return {false, "the database is empty", {}, {}};
  if (no_data) return {false, due ? "is due: the database has no data" : "began once, did not end, and left no data", {}, {}};
  if (due || begun) {
    const auto why = due ? "not run: the database has data of somebody's by now" : "began once and did not end: what it wrote may be half of it";
    const auto hint = fmt::format("by hand: {}; anew, without any of the data: codops setup-dev --reset", seed_by_hand(context));
    context.reporter.note(fmt::format("seed: {}; {}", why, hint));
    return {true, why, hint, {}};
  }
  return {true, is_seed(context, identity, "done") ? "done" : "not due: the database was there before", {}, {}};
}

std::string run_seed(const Context& context, const Progress& progress, const Limits& limits) {
  auto connection = connect(context.workspace.database(), limits);
  const auto identity = database_identity(connection, limits);
  context.ledger.put("seed", {identity, "begun"});
  for (const auto& command : context.workspace.environment.setup_dev.seed) run_tool(context, command.run, command.directory, progress, limits);
  context.ledger.put("seed", {identity, "done"});
  return fmt::format("{}", fmt::join(context.workspace.environment.setup_dev.seed.front().run, " "));
}

}  // namespace

std::string database_identity(pg::Connection& connection, const Limits& limits) {
  return std::string{connection.query("SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid FROM pg_database WHERE datname = current_database()", limits).text(0, 0)};
}

bool is_known_database(const Context& context, pg::Connection& connection, const Limits& limits) {
  return context.ledger.is("database", provision_key(context.workspace) + " " + database_identity(connection, limits));
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
  if (!workspace.migrations.empty()) {
    steps.push_back({"migrate", {"database"}, [&context](const Limits& limits) { return look_at_migrations(context, limits); },
                     [&context](const Progress& progress, const Limits& limits) { return run_migrations(context, progress, limits); }});
  }
  if (workspace.environment.setup_dev.seed.empty()) return;
  std::vector<std::string> needs{"database", "migrate"};
  if (workspace.redis.wanted) needs.push_back(workspace.redis.name);
  for (const auto& name : install_steps(workspace)) needs.push_back(name);
  for (const auto& name : generate_steps(workspace)) needs.push_back(name);
  steps.push_back({"seed", needs, [&context](const Limits& limits) { return look_at_seed(context, limits); },
                   [&context](const Progress& progress, const Limits& limits) { return run_seed(context, progress, limits); }});
}

}  // namespace codops::ops::dev
