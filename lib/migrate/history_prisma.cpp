// _prisma_migrations, as Prisma's schema engine writes it: success has finished_at, one step and no logs; `resolve
// --applied` has finished_at = started_at, no step and empty logs; a row with neither finished_at nor rolled_back_at stops
// every deploy (P3009).
#include <fmt/format.h>

#include "lib/base/failure.hpp"
#include "lib/migrate/history.hpp"
#include "lib/text/utf8.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

// Keeps what an error text may contain out of the column's encoding troubles and within reason.
std::string shortened(const std::string& logs) { return logs.size() > 8000 ? text::replace_invalid_utf8(logs.substr(0, 8000)) : logs; }

class PrismaHistory final : public History {
 public:
  explicit PrismaHistory(std::string schema) : History{std::move(schema), "_prisma_migrations"} {}

  Layout layout() const override { return Layout::prisma; }
  std::vector<std::int64_t> lock_ids(std::string_view) const override { return {72707369}; }

  // Prisma counts ordinary tables only: views, types, sequences and partitioned parents don't matter.
  void require_creatable(pg::Connection& connection, const std::string& subject, const Limits& limits) const override {
    const auto rows = connection.query(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r' "
        "AND c.relname NOT IN ('_prisma_migrations', 'spatial_ref_sys') ORDER BY 1 LIMIT 1",
        {schema()}, limits);
    if (rows.empty()) return;
    throw Failure{Exit::failed,
                  fmt::format("the schema \"{}\" has tables (\"{}\") but no migration history (P3005)", schema(), rows.text(0, 0)),
                  fmt::format("name the last migration whose effects the database already has: codops migrate baseline {} --to NAME; "
                              "the later ones then run (codops migrate status {} lists them all)",
                              subject, subject)};
  }

  std::string create_table() const override {
    return fmt::format(
        "CREATE TABLE IF NOT EXISTS {} (\n"
        "    id                      VARCHAR(36) PRIMARY KEY NOT NULL,\n"
        "    checksum                VARCHAR(64) NOT NULL,\n"
        "    finished_at             TIMESTAMPTZ,\n"
        "    migration_name          VARCHAR(255) NOT NULL,\n"
        "    logs                    TEXT,\n"
        "    rolled_back_at          TIMESTAMPTZ,\n"
        "    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),\n"
        "    applied_steps_count     INTEGER NOT NULL DEFAULT 0\n);",
        table());
  }

  std::vector<Entry> read(pg::Connection& connection, const Limits& limits) const override {
    constexpr std::string_view time = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
    const auto shown = [&](std::string_view column) { return fmt::format(fmt::runtime(time), column); };
    const auto rows = connection.query(
        fmt::format("SELECT id, migration_name, checksum, coalesce(logs, ''), {}, coalesce({}, ''), finished_at IS NOT NULL, "
                    "rolled_back_at IS NOT NULL, applied_steps_count FROM {} ORDER BY started_at, migration_name",
                    shown("started_at"), shown("finished_at"), table()),
        limits);
    std::vector<Entry> entries(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto& entry = entries[i];
      entry.id = rows.text(i, 0);
      entry.key = entry.name = rows.text(i, 1);
      entry.checksum = rows.text(i, 2);
      entry.logs = rows.text(i, 3);
      entry.started_at = rows.text(i, 4);
      entry.finished_at = rows.text(i, 5);
      entry.finished = rows.boolean(i, 6);
      entry.rolled_back = rows.boolean(i, 7);
      entry.steps = rows.is_null(i, 8) ? 0 : rows.number(i, 8);
    }
    return entries;
  }

  std::string applied(const Migration& migration, const Attempt& attempt) const override {
    return row(migration, attempt, "clock_timestamp()", "NULL", "NULL", 1);
  }
  std::string refused(const Migration& migration, const Attempt& attempt, const std::string& logs) const override {
    return row(migration, attempt, "NULL", "clock_timestamp()", pg::quote_literal(shortened(logs)), 0);
  }
  std::string begun(const Migration& migration, const Attempt& attempt, const Progress& progress) const override {
    const auto unfinished = fmt::format("migration_name = {} AND finished_at IS NULL AND rolled_back_at IS NULL", pg::quote_literal(migration.key));
    return fmt::format("DELETE FROM {} WHERE {};\n", table(), unfinished) +
           row(migration, attempt, "NULL", "NULL", pg::quote_literal(to_text(progress)), progress.done);
  }
  std::string progressed(const Migration&, const Attempt& attempt, const Progress& progress) const override {
    return fmt::format("UPDATE {} SET applied_steps_count = {}, logs = {} WHERE id = {};", table(), progress.done,
                       pg::quote_literal(shortened(to_text(progress))), pg::quote_literal(attempt.id));
  }
  std::string completed(const Migration&, const Attempt& attempt) const override {
    return fmt::format("UPDATE {} SET applied_steps_count = 1, logs = NULL, finished_at = clock_timestamp() WHERE id = {};", table(),
                       pg::quote_literal(attempt.id));
  }
  std::optional<Progress> progress_of(const Entry& entry) const override { return progress_from(entry.logs); }

  // Marking a finished row as rolled back would make Prisma's `resolve --applied` fail with P3008.
  std::string removed(const Migration& migration, const Source&) const override {
    return fmt::format("DELETE FROM {} WHERE migration_name = {} AND rolled_back_at IS NULL;", table(), pg::quote_literal(migration.key));
  }
  // A failed migration, as Prisma sees it: its `resolve` then has both ways out.
  std::string taking_back(const Migration& migration, const Attempt&, const Progress& progress) const override {
    return fmt::format("UPDATE {} SET finished_at = NULL, applied_steps_count = {}, logs = {} WHERE migration_name = {} AND rolled_back_at IS NULL;", table(), progress.done,
                       pg::quote_literal(shortened(to_text(progress))), pg::quote_literal(migration.key));
  }
  std::string marked_applied(const Migration& migration, const Attempt& attempt) const override {
    return attempts_rolled_back(migration) + "\n" + row(migration, attempt, pg::quote_literal(attempt.started_at), "NULL", "''", 0);
  }
  std::string marked_rolled_back(const Migration& migration, const Source&) const override { return attempts_rolled_back(migration); }

 private:
  std::string attempts_rolled_back(const Migration& migration) const {
    return fmt::format(
        "UPDATE {} SET rolled_back_at = clock_timestamp() WHERE migration_name = {} AND finished_at IS NULL AND rolled_back_at IS NULL;",
        table(), pg::quote_literal(migration.key));
  }
  std::string row(const Migration& migration, const Attempt& attempt, std::string_view finished, std::string_view rolled_back,
                  std::string_view logs, std::size_t steps) const {
    return fmt::format(
        "INSERT INTO {} (id, checksum, started_at, finished_at, rolled_back_at, migration_name, logs, applied_steps_count) "
        "VALUES ({}, {}, {}, {}, {}, {}, {}, {});",
        table(), pg::quote_literal(attempt.id), pg::quote_literal(checksum_of(Layout::prisma, migration)), pg::quote_literal(attempt.started_at), finished, rolled_back,
        pg::quote_literal(migration.key), logs, steps);
  }
};

}  // namespace

std::unique_ptr<History> prisma_history(std::string schema) { return std::make_unique<PrismaHistory>(std::move(schema)); }

}  // namespace codops::migrate
