#pragma once
// The history table of each layout, as its own tool writes it. Reading asks the server; writing is text that the runner
// puts into the transaction where it belongs.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/migrate/source.hpp"

namespace codops::migrate {

// One recorded attempt, in the order of recording.
struct Entry {
  std::string key;   // matches Migration::key
  std::string name;  // to show when no file has that key
  std::string id;    // Prisma: the row's UUID; Flyway: the rank
  std::string checksum;
  std::string logs;
  std::string started_at, finished_at;  // the server's text in UTC, RFC 3339; empty: NULL
  bool finished{false}, rolled_back{false};
  std::int64_t steps{};

  bool applied() const { return finished && !rolled_back; }
  bool failed() const { return !finished && !rolled_back; }
};

// One attempt at a migration, before it is recorded.
struct Attempt {
  std::string id;          // a new UUID
  std::string started_at;  // the server's clock_timestamp() as text
  Milliseconds took{};
};
Attempt new_attempt(std::string started_at);

// How far a script that runs statement by statement has come; kept in Prisma's `logs` while it is unfinished, else in
// the table codops_migration_progress. `digest`: of the statements that are done, each hashed behind the one before, so that an edit of the rest is allowed.
struct Progress {
  std::size_t done{}, total{};
  bool started{false};  // the next statement, which can't run in a transaction, was begun: it may have taken effect
  std::string digest;
  std::string notes;    // JSON on one line: what the next attempt has to know about the session and the server; may be empty
  std::string error;    // of the statement that failed; empty: killed, or running
  bool taking_back{false};  // of the down script
};
std::string to_text(const Progress& progress);
std::optional<Progress> progress_from(std::string_view text);

class History {
 public:
  virtual ~History() = default;

  virtual Layout layout() const = 0;
  const std::string& schema() const { return schema_; }  // where the table is
  const std::string& table() const { return table_; }    // qualified and quoted
  // The ids of the session-level advisory locks that the layout's own tool takes, in the order in which all are taken.
  virtual std::vector<std::int64_t> lock_ids(std::string_view database) const = 0;

  bool present(io::postgres::Connection& connection, const Limits& limits) const;
  // Why the table can't be made here: Prisma refuses a schema that has tables (P3005). Throws; else nothing. `subject`: Options::subject.
  virtual void require_creatable(io::postgres::Connection&, const std::string& /*subject*/, const Limits&) const {}
  // The schema only where it is missing: a role that may use it need not have CREATE on the database.
  std::string create(io::postgres::Connection& connection, const Limits& limits) const;
  // Empty when the table is not there.
  virtual std::vector<Entry> read(io::postgres::Connection& connection, const Limits& limits) const = 0;

  // Recorded as done, inside the transaction of the script.
  virtual std::string applied(const Migration& migration, const Attempt& attempt) const = 0;
  // A transaction that was rolled back: only Prisma has a row for that, one that both tools may retry at once.
  virtual std::string refused(const Migration&, const Attempt&, const std::string& /*logs*/) const { return {}; }
  // Statement by statement: begun (an earlier attempt's unfinished row is taken over), how far, done. `error` empty
  // while it runs.
  virtual std::string begun(const Migration& migration, const Attempt& attempt, const Progress& progress) const = 0;
  virtual std::string progressed(const Migration& migration, const Attempt& attempt, const Progress& progress) const = 0;
  virtual std::string completed(const Migration& migration, const Attempt& attempt) const = 0;
  virtual std::optional<Progress> progress_of(const Entry& entry) const = 0;
  // Taken back by its down script: whole, or statement by statement: how far, done. In between the peer that knows such a state
  // sees a failed migration.
  virtual std::string removed(const Migration& migration, const Source& source) const = 0;
  virtual std::string taking_back(const Migration& migration, const Attempt& attempt, const Progress& progress) const = 0;
  virtual std::string taken_back(const Migration& migration, const Source& source) const { return removed(migration, source); }
  // Marked as applied without running. Prisma: unfinished rows of the same name are marked as rolled back.
  virtual std::string marked_applied(const Migration& migration, const Attempt& attempt) const = 0;
  // A failed attempt marked as taken back, so that it runs again.
  virtual std::string marked_rolled_back(const Migration& migration, const Source& source) const = 0;

 protected:
  History(std::string schema, std::string_view table);
  virtual std::string create_table() const = 0;

 private:
  std::string schema_, table_;
};

// Looks up the schema: the target's `schema`, else Prisma's "public" or the first of the search_path.
std::unique_ptr<History> history_for(Layout layout, io::postgres::Connection& connection, const Limits& limits);

std::unique_ptr<History> prisma_history(std::string schema);
std::unique_ptr<History> dbmate_history(std::string schema);
std::unique_ptr<History> golang_migrate_history(std::string schema, std::string table = "schema_migrations");
std::unique_ptr<History> flyway_history(std::string schema);

}  // namespace codops::migrate
