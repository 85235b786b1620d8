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
  std::function<void(const Limits&)> stop;     // the application, or read-only, before the swap
  std::function<void(const Limits&)> start;    // after it, and after a failure when stop had run
  std::function<void(const io::postgres::Target& fresh, const Limits&)> migrate;  // the new database, before the swap
};

struct RestoreRequest {
  std::string backup;                  // label, tag or "latest"; empty with `file`
  std::filesystem::path file;          // a dump of pg_dump
  std::string into;                    // another database's name: made, filled, and that is all
  std::vector<std::string> tables;     // "schema.name": only these, into a side schema of the live database
  bool safety_backup{true};            // of what is there, before anything else
  LoadOptions load;
};

struct Restored {
  std::string database;        // where the content is now
  std::string aside;           // the live one of before; empty with `into`
  std::string safety_backup;   // label
  std::string source;          // label or file
  std::vector<std::string> notes;
  std::uint64_t rows{};
  Milliseconds took{}, downtime{};  // downtime: from stop, or the swap's beginning, to its end
};

// What a restore would do and find, without writing anything.
std::vector<Finding> check_restore(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request,
                                   const Keyring& keys, const Limits& limits);

Restored restore(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request, const Options& safety,
                 const RestoreHooks& hooks, const Keyring& keys, const Clock& clock, Reporter& reporter,
                 const Limits& limits);

// The database that the last restore put aside takes its place again; what was live is put aside instead.
Restored undo_restore(const Subject& subject, const RestoreHooks& hooks, const Clock& clock, Reporter& reporter,
                      const Limits& limits);

struct Drill {
  bool same{};
  std::string difference;
  std::uint64_t rows{};
  Milliseconds took{};  // until the database would have served
};
// Restores into a scratch database of `server`, reads every table back, compares, drops it, and marks the backup.
Drill drill(Catalogue& catalogue, const Entry& entry, const io::postgres::Target& server, const LoadOptions& options,
            const Keyring& keys, const Clock& clock, Reporter& reporter, const Limits& limits);

}  // namespace codops::backup
