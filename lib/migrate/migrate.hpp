#pragma once
// Applying migrations. For `deploy`:
//
//   auto files = migrate::read_folder("prisma/migrations");               // or from an image's archive
//   auto connection = io::postgres::Connection::open_when_ready(target, limits);
//   for (auto& migration : migrate::pending(files, connection, options, limits)) …   // reads only; for the plan
//   auto outcome = migrate::apply(files, connection, options, reporter, limits);     // throws MigrationFailed
//
// A script that can runs in one transaction together with its history row; the others run statement by statement, with
// their progress recorded, and continue where they stopped. The history is the layout's own tool's.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/reporter.hpp"
#include "lib/io/postgres.hpp"
#include "lib/migrate/ledger.hpp"
#include "lib/migrate/source.hpp"

namespace codops::migrate {

struct Options {
  std::optional<Layout> layout;             // else by shape
  Milliseconds lock_wait{10'000};           // for the migration lock
  bool take_lock{true};                     // false: PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK
  Milliseconds lock_timeout{3'000};         // each statement's wait for a table's lock; 0: none. Never for CONCURRENTLY
  int lock_attempts{10};                    // with jittered pauses between
  Milliseconds statement_timeout{0};        // 0: none. Never for CONCURRENTLY
  bool allow_invalid_utf8{false};
  bool scratch{false};                      // a replay: a transaction that changes what all databases share is rolled back
  std::string until;                        // the last to apply, by name or version; empty: all
  std::string subject{"ENV"};               // behind the verb in commands that hints name: "production v1.2.0"
};

struct Applied {
  std::string name;
  Milliseconds took{};
  bool stepwise{false};
};

struct Outcome {
  Layout layout{Layout::prisma};
  std::vector<Applied> applied;
  Milliseconds took{};
};

// Reads only, takes no lock. With `check_files` also finds edited files.
Ledger status(const Source& source, io::postgres::Connection& connection, bool check_files, const Limits& limits);

// What apply() would run, in order. Throws as apply() would for a failed history (P3009) or tables without one (P3005).
std::vector<Migration> pending(const std::vector<File>& files, io::postgres::Connection& connection, const Options& options, const Limits& limits);

std::vector<Migration> pending(const Source& source, io::postgres::Connection& connection, const Options& options, const Limits& limits);

// Failure: 4 the lock is held, 65 a file is unfit (nothing ran), 1 the history has a failed migration (P3009), the schema
// has tables but no history (P3005), or a script failed (MigrationFailed, P3018). The connection may be replaced by a new
// one to the same target when it breaks.
Outcome apply(const std::vector<File>& files, io::postgres::Connection& connection, const Options& options, Reporter& reporter,
              const Limits& limits);
Outcome apply(const Source& source, io::postgres::Connection& connection, const Options& options, Reporter& reporter, const Limits& limits);

// Takes back the last `count` applied migrations by their down scripts, newest first; with `to` all after that one.
Outcome down(const Source& source, io::postgres::Connection& connection, std::size_t count, const std::string& to, const Options& options,
             Reporter& reporter, const Limits& limits);

// Marks as applied, without running, every migration up to and including `until` (empty: all) that has no row. Makes the history
// table also where the schema has tables.
std::vector<std::string> baseline(const Source& source, io::postgres::Connection& connection, const std::string& until, const Options& options,
                                  Reporter& reporter, const Limits& limits);

// Makes an empty history, also where the schema has tables: none of the migrations has run there. False: there is one already.
bool begin_history(const Source& source, io::postgres::Connection& connection, const Options& options, Reporter& reporter, const Limits& limits);

// `prisma migrate resolve`: P3017 no such migration, P3008 already applied, P3011 never attempted, P3012 not failed.
void resolve_applied(const Source& source, io::postgres::Connection& connection, const std::string& name, const Options& options,
                     Reporter& reporter, const Limits& limits);
void resolve_rolled_back(const Source& source, io::postgres::Connection& connection, const std::string& name, const Options& options,
                         Reporter& reporter, const Limits& limits);

// Environment of Prisma's own switch, as its value: anything but "" and "0" turns the lock off.
bool lock_disabled_by(const char* value);

}  // namespace codops::migrate
