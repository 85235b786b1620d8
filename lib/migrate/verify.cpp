#include "lib/migrate/verify.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/io/crypto.hpp"
#include "lib/migrate/mode.hpp"
#include "lib/migrate/script_error.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

// When it was made is part of the name: a run that was killed leaves its own behind, and one that has just begun isn't connected yet.
constexpr std::string_view scratch_prefix = "codops_verify_";

void drop_abandoned(pg::Connection& owner, Reporter& reporter, const Limits& limits) {
  const auto rows = owner.query(
      "SELECT d.datname FROM pg_database d WHERE d.datname ~ '^codops_verify_([0-9a-f]{12}|[0-9a-f]{8}_[0-9a-f]{6})$' AND pg_has_role(d.datdba, 'MEMBER') AND NOT EXISTS "
      "(SELECT FROM pg_stat_activity a WHERE a.datid = d.oid) AND (d.datname !~ '_.*_.*_' OR ('x' || substr(d.datname, 15, 8))::bit(32)::bigint < "
      "extract(epoch FROM clock_timestamp()) - 60)",
      limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string name{rows.text(i, 0)};
    try {
      owner.query("DROP DATABASE IF EXISTS " + pg::quote_identifier(name), limits);
      reporter.note(fmt::format("the database \"{}\", left by a verify that was killed, is dropped", name));
    } catch (const pg::DatabaseError& error) {
      if (error.lost()) throw;
      reporter.note(fmt::format("the database \"{}\", left by a verify that was killed, can't be dropped: {}", name, error.message()));
    }
  }
}

class ScratchDatabase {
 public:
  ScratchDatabase(pg::Connection& owner, const Limits& limits) : owner_{owner} {
    const auto like = owner.query(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype, lpad(to_hex(extract(epoch FROM clock_timestamp())::bigint), 8, '0') FROM pg_database WHERE datname = "
        "current_database()",
        limits);
    name_ = fmt::format("{}{}_{}", scratch_prefix, like.text(0, 3), io::to_hex(io::random_bytes(3)));
    try {
      owner.query(fmt::format("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}", pg::quote_identifier(name_),
                              pg::quote_literal(like.text(0, 0)), pg::quote_literal(like.text(0, 1)), pg::quote_literal(like.text(0, 2))),
                  limits);
    } catch (const pg::DatabaseError& error) {
      if (error.sqlstate() != "42501") throw;
      throw Failure{error.code(), "the scratch database can't be made: " + error.message(),
                    fmt::format("ALTER ROLE {} CREATEDB; or another role with --database-url-env NAME and --no-privileges",
                                owner.query("SELECT quote_ident(current_user)", limits).text(0, 0))};
    }
  }
  ScratchDatabase(const ScratchDatabase&) = delete;
  ScratchDatabase& operator=(const ScratchDatabase&) = delete;
  ~ScratchDatabase() {
    try {
      owner_.query("DROP DATABASE IF EXISTS " + pg::quote_identifier(name_), Limits{Deadline::after(Milliseconds{20'000}), {}});
    } catch (const std::exception&) {
    }
  }
  pg::Target target() const {
    auto target = owner_.target();
    target.database = name_;
    return target;
  }

 private:
  pg::Connection& owner_;
  std::string name_;
};

// The script with spaces where statements were that must not run again: places stay as they are in the file.
Migration replayable(Migration migration, bool allow_invalid_utf8, std::vector<std::string>& left_out) {
  migration = loaded(std::move(migration));
  if (migration.script_missing) return migration;
  auto script = prepare(migration, allow_invalid_utf8);
  bool changed = false;
  for (const auto& statement : script.statements) {
    const auto what = beyond_database(statement.sql(script.text));
    if (what.empty()) continue;
    left_out.push_back(script.place(statement.start) + ": " + what);
    for (auto i = statement.start; i < statement.stop; ++i) {
      if (script.text[i] != '\n') script.text[i] = ' ';
    }
    changed = true;
  }
  if (changed) migration.script = std::move(script.text);
  return migration;
}

Source applied_part(const Source& source, const Ledger& ledger, bool allow_invalid_utf8, std::vector<std::string>& left_out) {
  Source applied = source;
  applied.migrations.clear();
  for (const auto& item : ledger.items) {
    if (item.index < source.migrations.size() && (item.state == State::applied || item.state == State::edited)) {
      applied.migrations.push_back(replayable(source.migrations[item.index], allow_invalid_utf8, left_out));
    }
  }
  return applied;
}

// What `db init` does inside a database is part of what the migrations start from, where the live one has it.
void provision_scratch(const Provision& wanted, pg::Connection& live, pg::Connection& scratch, const Limits& limits) {
  for (const auto& extension : wanted.extensions) scratch.run("CREATE EXTENSION IF NOT EXISTS " + pg::quote_identifier(extension), limits);
  if (wanted.owner.empty() || !live.query("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", {wanted.owner}, limits).boolean(0, 0)) return;
  for (const auto& step : provision_steps(wanted)) {
    if (!step.inside || step.sql.starts_with("CREATE EXTENSION")) continue;
    if (!live.query(step.done_query, limits).boolean(0, 0) || scratch.query(step.done_query, limits).boolean(0, 0)) continue;
    try {
      scratch.run(step.sql, limits);
    } catch (const pg::DatabaseError& error) {
      // Then it is the server's administrator who did it in the live one; it shows as a difference.
      if (error.lost()) throw;
    }
  }
}

// A slot made by a function that a script calls by name is not rolled back, and keeps the server's log for ever.
std::set<std::string> slots_of(pg::Connection& connection, const Limits& limits) {
  const auto rows = connection.query("SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'physical'", limits);
  std::set<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) names.emplace(rows.text(i, 0));
  return names;
}

bool about_privileges(std::string_view object) {
  return object.starts_with("owner of ") || object.starts_with("privilege ") || object.starts_with("default privileges ");
}

// The object that an owner or a privilege belongs to, named as the object's own row is.
std::string belongs_to(std::string_view object) {
  constexpr std::string_view owner = "owner of ";
  if (object.starts_with(owner)) return std::string{object.substr(owner.size())};
  const auto on = object.starts_with("privilege ") ? object.find(" on ") : std::string_view::npos;
  return on == std::string_view::npos ? std::string{} : std::string{object.substr(on + 4)};
}

}  // namespace

std::vector<Difference> compare(const Snapshot& live, const Snapshot& replayed, bool privileges) {
  std::vector<Difference> differences;
  const auto counts = [&](const std::string& object) {
    if (!about_privileges(object)) return true;
    const auto whose = belongs_to(object);
    return privileges && (whose.empty() || live.contains(whose) == replayed.contains(whose));
  };
  for (const auto& [object, definition] : live) {
    const auto other = replayed.find(object);
    if (other != replayed.end() && (other->second == definition || as_dumped(other->second) == as_dumped(definition))) continue;
    if (!counts(object)) continue;
    if (other == replayed.end()) differences.push_back({object, definition.empty() ? "there" : definition, ""});
    else differences.push_back({object, definition, other->second});
  }
  for (const auto& [object, definition] : replayed) {
    if (!live.contains(object) && counts(object)) differences.push_back({object, "", definition.empty() ? "there" : definition});
  }
  return differences;
}

Verification verify(const Source& source, pg::Connection& connection, const Provision& provision, bool privileges, const Options& options, Reporter& reporter,
                    const Limits& limits) {
  Verification verification;
  verification.privileges = privileges;
  const auto applied = applied_part(source, status(source, connection, false, limits), options.allow_invalid_utf8, verification.left_out);
  drop_abandoned(connection, reporter, limits);
  const auto live = schema_snapshot(connection, limits);
  const auto slots = slots_of(connection, limits);
  const ScratchDatabase scratch{connection, limits};
  auto replay = pg::Connection::open(scratch.target(), limits);
  provision_scratch(provision, connection, replay, limits);
  auto quiet = options;
  quiet.take_lock = false;
  quiet.scratch = true;
  quiet.until.clear();
  try {
    verification.replayed = apply(applied, replay, quiet, reporter, limits).applied.size();
  } catch (const MigrationFailed& failed) {
    // The runner's hints are about the live database and its history.
    throw Failure{failed.code(), "the replay into a scratch database failed; the live database is as it was\n" + failed.message(),
                  "what the script needs may be there in the live database only: an extension (database.extensions in codops.yaml), data, an object made by hand"};
  }
  for (const auto& slot : slots_of(connection, limits)) {
    if (!slots.contains(slot)) {
      reporter.warn(fmt::format("the replication slot \"{0}\" is new since the replay began, maybe by a function that a script calls; if nobody else made it: SELECT pg_drop_replication_slot({1})",
                                slot, pg::quote_literal(slot)));
    }
  }
  verification.differences = compare(live, schema_snapshot(replay, limits), privileges);
  return verification;
}

namespace {

std::vector<std::string> not_compared(const Verification& verification) {
  std::vector<std::string> parts{"rows", "the order of columns", "versions of extensions", "settings of roles and of the database", "roles, subscriptions and all else that the server's databases share"};
  if (!verification.privileges) parts.emplace_back("owners and privileges");
  return parts;
}

}  // namespace

std::string to_text(const Verification& verification) {
  std::string remarks = "not compared: ";
  for (const auto& part : not_compared(verification)) remarks += (remarks.ends_with(": ") ? "" : ", ") + part;
  remarks += "\n";
  for (const auto& what : verification.left_out) remarks += fmt::format("not run again, reaches beyond the database: {}\n", what);
  if (verification.differences.empty()) {
    return fmt::format("{} migrations replayed: the live schema is what they say\n", verification.replayed) + remarks;
  }
  std::string text = fmt::format("{} migrations replayed, {} differences\n", verification.replayed, verification.differences.size());
  for (const auto& difference : verification.differences) {
    if (difference.live.empty()) text += fmt::format("- {}   missing in the live database\n", difference.object);
    else if (difference.replayed.empty()) text += fmt::format("+ {}   only in the live database\n", difference.object);
    else text += fmt::format("~ {}\n    live        {}\n    migrations  {}\n", difference.object, difference.live, difference.replayed);
  }
  return text + remarks;
}

std::string to_json(const Verification& verification) {
  nlohmann::ordered_json document{{"replayed", verification.replayed}, {"not_run_again", verification.left_out}, {"not_compared", not_compared(verification)},
                                  {"differences", nlohmann::ordered_json::array()}};
  for (const auto& difference : verification.differences) {
    document["differences"].push_back({{"object", difference.object}, {"live", difference.live}, {"migrations", difference.replayed}});
  }
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace codops::migrate
