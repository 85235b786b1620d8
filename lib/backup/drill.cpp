#include <set>

#include "lib/backup/reading.hpp"
#include "lib/backup/restore_steps.hpp"
#include "lib/backup/session.hpp"
#include "lib/backup/snapshot.hpp"

namespace codops::backup {

using io::postgres::Connection;
using io::postgres::quote_identifier;

namespace {

constexpr std::string_view role_prefix = "codops drill: ";

// Policies and SQL name roles that another server may lack. There they last as long as the drill: they can't log in, and their
// comment names the database that they are for.
class Roles {
 public:
  explicit Roles(Rescue& rescue) : rescue_{rescue} {}
  Roles(const Roles&) = delete;
  Roles& operator=(const Roles&) = delete;
  void keep() { made_.clear(); }
  ~Roles() {
    for (const auto& role : made_) {
      rescue_.attempt(fmt::format("role \"{}\", made for the drill, is left", role), fmt::format("DROP ROLE {}; the next drill does it too", quote_identifier(role)),
                      [&](Connection& server, const Limits& limits) { server.run("DROP ROLE IF EXISTS " + quote_identifier(role), limits); });
    }
  }
  void make(Connection& server, const std::vector<std::string>& roles, const std::string& database, const Limits& limits) {
    for (const auto& role : roles) {
      if (!server.query("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", {role}, limits).empty()) continue;
      try {
        server.run(fmt::format("BEGIN; CREATE ROLE {0}; COMMENT ON ROLE {0} IS {1}; COMMIT", quote_identifier(role), io::postgres::quote_literal(std::string{role_prefix} + database)), limits);
      } catch (const io::postgres::DatabaseError& error) {
        if (error.lost()) throw;
        server.run("ROLLBACK", limits);
        throw Failure{Exit::failed, fmt::format("role \"{}\", which the backup names, is missing on the drill's server, and could not be made for the drill: {}", role, error.message()),
                      fmt::format("there: CREATE ROLE {}; it needs no rights", quote_identifier(role))};
      }
      made_.push_back(role);
    }
  }

 private:
  Rescue& rescue_;
  std::vector<std::string> made_;
};

// Of drills whose database is gone. One that is used meanwhile stays.
void sweep_roles(Connection& server, const Limits& limits) {
  const auto rows = server.query("SELECT rolname FROM pg_catalog.pg_roles r, pg_catalog.shobj_description(r.oid, 'pg_authid') d WHERE pg_catalog.starts_with(d, $1) AND NOT rolcanlogin"
                                 " AND NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = pg_catalog.substr(d, pg_catalog.length($1) + 1))",
                                 {std::string{role_prefix}}, limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    try {
      server.run("DROP ROLE " + quote_identifier(rows.text(i, 0)), limits);
    } catch (const io::postgres::DatabaseError& error) {
      if (error.lost()) throw;
    }
  }
}

}  // namespace

io::postgres::Target server_of(const Subject& subject, const Limits& limits) { return open_beside(subject.database, subject.database.database, limits).target(); }

Drill drill(Catalogue& catalogue, const Entry& entry, const io::postgres::Target& server_target, bool own,
            const LoadOptions& options, const Keyring& keys, const Clock& clock, Reporter& reporter,
            const Limits& limits, const std::optional<ContainerPlace>& container) {
  const auto& manifest = entry.manifest;
  if (!manifest.database) throw Failure{Exit::data, fmt::format("backup {} has no database to drill", manifest.label)};
  const auto started = clock.steady();
  const Reading reading{catalogue, manifest.label, limits};
  auto server = open_session(server_target, limits);
  const auto programs = find_programs(server.server_version() / 10000, server_target, container, limits);
  auto findings = preflight(*manifest.database, server, limits, "pg_default");  // where the scratch database is
  // Whose the objects are makes no difference to their content.
  std::erase_if(findings, [](const Finding& finding) { return finding.message.starts_with("role \"") || finding.message.starts_with("tablespace \""); });
  require_possible(findings);

  if (!own) {
    for (const auto& note : mend_restores(server, {}, limits)) reporter.warn(note);
    sweep_roles(server, limits);
  }
  Rescue rescue{server.target(), reporter};
  Roles roles{rescue};
  Fresh scratch{rescue, side_name(manifest.database->name, "drill", clock.now())};
  const auto& name = scratch.name();
  auto shape = shape_of(*manifest.database);
  shape.owner.clear();
  shape.tablespace.clear();
  scratch.create(server, shape, limits);
  auto target = server_target;
  target.database = name;
  // As long as it is there no other drill takes this one for dead; so before the mark. Sessions of ours that work may outlive us.
  auto watched = target;
  watched.options["application_name"] = drill_application;
  const auto alive = open_session(watched, limits);
  mark(server, name, {manifest.database->name}, limits);
  roles.make(server, manifest.database->roles, name, limits);
  // A server of its own takes all of it along, also one that has just ended.
  if (own) {
    scratch.keep();
    roles.keep();
  }
  speak_money(server, name, manifest.database->lc_monetary, limits);
  Progress progress{reporter, clock, "drill", manifest.plain_size() * 2};
  auto load = options;
  load.no_owner = load.no_tablespaces = true;
  load.no_privileges = !own;
  Drill result;
  try {
    // As a restore does: what the server makes of damaged rows depends on which of them it meets first.
    const CheckedBackup checked{catalogue, manifest, database_parts(manifest), keys, limits};
    const auto loaded = load_backup(checked, target, *programs, load, progress, limits);
    result.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
    const auto back = read_back(target, manifest, loaded.columns, progress, limits);
    std::set<std::string> notes{loaded.notes.begin(), loaded.notes.end()};
    notes.insert(back.not_compared.begin(), back.not_compared.end());
    for (const auto& note : notes) reporter.warn(note);
    result.difference = difference(manifest.tables, back.found);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::data) throw;
    result.difference = failure.message();
  }
  result.same = result.difference.empty();
  result.rows = manifest.rows();
  try {
    catalogue.mark(manifest.label,
                   [&](Marks& marks) {
                     marks.damage = result.difference;
                     if (!result.same) return;
                     marks.drilled = marks.verified = clock.now();
                     marks.drill_took = result.took;
                   },
                   limits);
  } catch (const Failure& failure) {
    // Whoever may only read the store has drilled all the same.
    if (failure.code() != Exit::failed && failure.code() != Exit::config) throw;
    reporter.warn("the drill is not recorded in the store: " + failure.message());
  }
  return result;
}

}  // namespace codops::backup
