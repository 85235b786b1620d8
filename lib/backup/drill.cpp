#include "lib/backup/restore_steps.hpp"
#include "lib/backup/snapshot.hpp"
#include "lib/backup/verify.hpp"

namespace codops::backup {

using io::postgres::Connection;

Drill drill(Catalogue& catalogue, const Entry& entry, const io::postgres::Target& server_target, bool own,
            const LoadOptions& options, const Keyring& keys, const Clock& clock, Reporter& reporter,
            const Limits& limits) {
  const auto& manifest = entry.manifest;
  if (!manifest.database) throw Failure{Exit::data, fmt::format("backup {} has no database to drill", manifest.label)};
  const auto started = clock.steady();
  auto server = Connection::open(server_target, limits);
  const auto programs = find_programs(server.server_version() / 10000, server_target, {}, limits);
  auto findings = preflight(*manifest.database, server, limits);
  // Whose the objects are makes no difference to their content.
  std::erase_if(findings, [](const Finding& finding) { return finding.message.starts_with("role \""); });
  require_possible(findings);

  // Privileges and policies name roles, and SQL its owners.
  if (own) {
    for (const auto& role : manifest.database->roles) {
      if (server.query("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", {role}, limits).empty()) {
        server.run("CREATE ROLE " + io::postgres::quote_identifier(role), limits);
      }
    }
  }
  Rescue rescue{server.target(), reporter};
  Fresh scratch{rescue, side_name(manifest.database->name, "drill", clock.now())};
  const auto& name = scratch.name();
  auto shape = shape_of(*manifest.database);
  shape.owner.clear();
  shape.tablespace.clear();
  create_database(server, name, shape, limits);
  scratch.made();
  mark(server, name, {manifest.database->name}, limits);
  auto target = server_target;
  target.database = name;
  Progress progress{reporter, clock, "drill", manifest.plain_size() * 2};
  auto load = options;
  load.no_owner = true;
  Drill result;
  try {
    // As a restore does: what the server makes of damaged rows depends on which of them it meets first.
    const CheckedBackup checked{catalogue, manifest, database_parts(manifest), keys, limits};
    load_backup(checked, target, *programs, load, progress, limits);
    result.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
    result.difference = difference(manifest.tables, read_back(target, manifest.tables, progress, limits));
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
