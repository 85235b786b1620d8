#pragma once
// A restore from beginning to end. The live database is not touched before the swap; any failure before it leaves it
// serving, and the new one is dropped.
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "lib/backup/backup.hpp"
#include "lib/backup/load.hpp"
#include "lib/backup/preflight.hpp"

namespace codops::backup {

// What joins a restore to the rest of codops; empty functions are left out.
struct RestoreHooks {
  std::function<void(const Limits&)> stop;     // the application, once what is there is safe and before anything is filled
  std::function<void(const Limits&)> start;    // after the swap, where its failure is told, not undone; and after a failure when stop had run
  // The new database, before the swap; `live` may lack it. Returns what was done, for people.
  std::function<std::string(const io::postgres::Target& fresh, const Limits&)> migrate;
  // After start: empty when all is well, else what is not. It is told, not undone.
  std::function<std::string(const Limits&)> health;
};

struct RestoreRequest {
  std::string backup;                  // label, tag or "latest"; empty with `file`
  std::filesystem::path file;          // a dump of pg_dump
  std::string into;                    // another database's name: made, filled, and that is all
  std::vector<std::string> tables;     // "schema.name" or "name": only these, into a schema of their own in the live database
  std::vector<std::string> parts;      // "database", "redis", names of Subject::files; empty: all that the backup has
  bool safety_backup{true};            // of what is there, before anything else
  bool read_only{};                    // the live database refuses writes by default, from the safety backup to the swap
  bool other_database{};               // the backup is of another one than the live one, and meant
  LoadOptions load;

  bool wants(const std::string& part) const { return parts.empty() || std::find(parts.begin(), parts.end(), part) != parts.end(); }
};

struct Restored {
  std::string database;        // where the content is now
  std::string schema, table;   // with `tables`: where in it; the first of them
  std::string aside;           // the live one of before; empty with `into`
  std::vector<std::string> kept;  // what was live of Redis and files, in words
  std::string safety_backup;   // label
  std::string source;          // label or file
  std::string unwell;          // what the health hook said, or why the application was not started
  std::vector<std::string> notes;
  std::uint64_t rows{};
  Milliseconds took{}, downtime{};  // downtime: from stop or read-only, else the swap's beginning, to its end
};

bool live_exists(const Subject& subject, const Limits& limits);
// What a restore would do and find, without writing anything.
std::vector<Finding> check_restore(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request,
                                   const Keyring& keys, const Limits& limits);

Restored restore(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request, const Options& safety,
                 const RestoreHooks& hooks, const Keyring& keys, const Clock& clock, Reporter& reporter,
                 const Limits& limits);
// The rows of single tables, beside the live ones: request.tables. Nothing that is there is changed.
Restored restore_tables(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request, const Keyring& keys,
                        const Clock& clock, Reporter& reporter, const Limits& limits);

// The database that the last restore put aside takes its place again; what was live is put aside instead. The same for
// Redis and files, where a restore put some of them aside.
struct Undoable {
  std::string stamp;  // of the restore
  std::string aside;  // the database that was put aside; empty: it was none
  bool redis{};
  std::vector<const FilesPlace*> files;
  bool half{};  // that restore, or an undo of it, did not come to its end: there may be nothing to put back
};
// What undo_restore() would put back. `stamp`: of which restore; empty: the last one. Failure{usage}: nothing, or the last one is
// undone already, or what it replaced was dropped, and only older ones are left, which are to be asked for by name.
Undoable find_undoable(const Subject& subject, const std::string& stamp, io::postgres::Connection& server, const Limits& limits);
Undoable find_undoable(const Subject& subject, const std::string& stamp, const Limits& limits);
// Failure{undo_failed}: some is put back and some not; asked once more, it goes on.
Restored undo_restore(const Subject& subject, const std::string& stamp, const RestoreHooks& hooks, const Clock& clock, Reporter& reporter,
                      const Limits& limits);

struct Drill {
  bool same{};
  std::string difference;
  std::uint64_t rows{};
  Milliseconds took{};  // until the database would have served
};
// Restores into a scratch database of `server`, reads every table back, compares, drops it, and marks the backup. `own`:
// the server is there for this drill only, so roles that the backup names may be made on it. `container`: the server's, for its programs.
Drill drill(Catalogue& catalogue, const Entry& entry, const io::postgres::Target& server, bool own, const LoadOptions& options,
            const Keyring& keys, const Clock& clock, Reporter& reporter, const Limits& limits, const std::optional<ContainerPlace>& container = {});
// The server of what is backed up, by another database of it.
io::postgres::Target server_of(const Subject& subject, const Limits& limits);

}  // namespace codops::backup
