#pragma once
// Filling a new, empty database from a backup or a dump file.
#include <map>
#include <optional>
#include <string>

#include "lib/backup/checked_backup.hpp"
#include "lib/backup/custom_archive.hpp"
#include "lib/backup/programs.hpp"
#include "lib/backup/progress.hpp"
#include "lib/backup/read_back.hpp"

namespace codops::backup {

struct LoadOptions {
  int jobs{1};
  bool analyze{true};
  bool no_owner{};        // objects belong to who restores
  bool no_tablespaces{};  // all of it in the default one
  bool no_privileges{};   // of an archive: nothing is granted
};

struct Loaded {
  // Statements that make the database's settings and privileges those of the one that was dumped (database_settings.hpp); of an SQL
  // part there are none.
  std::vector<std::string> settings;
  ColumnLists columns;                    // as the dump has them
  std::vector<std::string> notes;         // what is not as it was dumped, for people; of an SQL part what ReadBack::not_compared says too
};

// The database's content from the stored parts: definitions by pg_restore, rows by COPY on `jobs` connections as they
// are decoded, then indexes and constraints by pg_restore, and privileges last: an owner may have taken them from himself. Rows are counted and hashed on the way and must be what the
// manifest says: Failure{data}.
Loaded load_backup(const CheckedBackup& backup, const io::postgres::Target& into, Programs& programs, const LoadOptions& options, Progress& progress,
                   const Limits& limits);

// Statistics for the planner, without which the database works all the same: what the server refuses is passed over. A table with a
// foreign one below it is left out, because its rows would be fetched from another server, perhaps the one that is in use.
void analyze(const io::postgres::Target& target, const Limits& limits);

// As many of `jobs` as the limits of this role, the database and the server leave room for, beside one connection more; at least one.
int jobs_possible(const io::postgres::Target& target, int jobs, const Limits& limits);

// Only the rows of some tables: the manifest's name → where they go: "side"."orders", in the backup's encoding. The
// tables must be there. Rows are compared with the manifest as above.
using TablesInto = std::map<std::string, std::string>;
void load_tables(const CheckedBackup& backup, const TablesInto& tables, const io::postgres::Target& into, Programs& programs, const LoadOptions& options,
                 Progress& progress, const Limits& limits);
// What the archive says of itself, without its rows. Failure{data}: the backup has SQL only.
ArchiveHead archive_head(const CheckedBackup& backup, const Limits& limits);
// Definitions without rows, indexes, constraints, owners and privileges, into an empty database.
void load_definitions(const CheckedBackup& backup, const io::postgres::Target& into, Programs& programs, const Limits& limits);

}  // namespace codops::backup
