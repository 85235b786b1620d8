// dbmate, golang-migrate and Flyway. None of their tables has room for the progress of a script that runs statement by
// statement, so that is kept in a table of codops' own, which exists only while there is such progress.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "lib/base/failure.hpp"
#include "lib/migrate/history.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

constexpr std::string_view utc_time = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";

class SideProgress : public History {
 public:
  std::string begun(const Migration& migration, const Attempt& attempt, const Progress& progress) const override {
    return fmt::format("CREATE TABLE IF NOT EXISTS {0} (key text PRIMARY KEY, id text NOT NULL, started_at timestamptz NOT NULL, "
                       "progress text NOT NULL);\nDELETE FROM {0} WHERE key = {1};\nINSERT INTO {0} VALUES ({1}, {2}, {3}, {4});",
                       side_, pg::quote_literal(migration.key), pg::quote_literal(attempt.id), pg::quote_literal(attempt.started_at), pg::quote_literal(to_text(progress)));
  }
  std::string progressed(const Migration& migration, const Attempt&, const Progress& progress) const override {
    return fmt::format("UPDATE {} SET progress = {} WHERE key = {};", side_, pg::quote_literal(to_text(progress)), pg::quote_literal(migration.key));
  }
  std::string completed(const Migration& migration, const Attempt& attempt) const override {
    return fmt::format("DROP TABLE IF EXISTS {};\n", side_) + applied(migration, attempt);
  }
  std::string taking_back(const Migration& migration, const Attempt& attempt, const Progress& progress) const override { return SideProgress::begun(migration, attempt, progress); }
  std::string taken_back(const Migration& migration, const Source& source) const override {
    return fmt::format("DROP TABLE IF EXISTS {};\n", side_) + removed(migration, source);
  }
  std::string marked_applied(const Migration& migration, const Attempt& attempt) const override {
    return fmt::format("DROP TABLE IF EXISTS {};\n", side_) + applied(migration, attempt);
  }
  std::string marked_rolled_back(const Migration&, const Source&) const override { return fmt::format("DROP TABLE IF EXISTS {};", side_); }
  std::optional<Progress> progress_of(const Entry& entry) const override { return progress_from(entry.logs); }
  // dbmate and golang-migrate would begin one and run everything: over tables that are there that is a wrong schema, a history of another name, or a
  // baseline that nobody made, far more often than it is meant.
  void require_creatable(pg::Connection& connection, const std::string& subject, const Limits& limits) const override {
    const auto rows = connection.query(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ($1, current_schema()) AND c.relkind IN ('r', 'p') AND c.relname <> "
        "'codops_migration_progress' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2 LIMIT 1",
        {schema()}, limits);
    if (rows.empty()) return;
    throw Failure{Exit::failed, fmt::format("the schema \"{}\" has tables (\"{}\") but no migration history, {}", rows.text(0, 0), rows.text(0, 1), table()),
                  fmt::format("name the last migration whose effects the database already has: codops migrate baseline {0} --to NAME; when none of them has run there: codops migrate "
                              "baseline {0} --empty",
                              subject)};
  }

 protected:
  SideProgress(std::string schema, std::string_view table)
      : History{std::move(schema), table}, side_{pg::quote_identifier(this->schema()) + ".codops_migration_progress"} {}

  void add_progress(pg::Connection& connection, std::vector<Entry>& entries, const Limits& limits) const {
    if (!connection.query("SELECT to_regclass($1) IS NOT NULL", {side_}, limits).boolean(0, 0)) return;
    const auto rows = connection.query(
        fmt::format("SELECT key, id, {}, progress FROM {}", fmt::format(fmt::runtime(utc_time), "started_at"), side_), limits);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Entry entry;
      entry.key = entry.name = rows.text(i, 0);
      entry.id = rows.text(i, 1);
      entry.started_at = rows.text(i, 2);
      entry.logs = rows.text(i, 3);
      if (const auto progress = progress_from(entry.logs)) entry.steps = static_cast<std::int64_t>(progress->done);
      // The side table knows more than a row that only says "dirty".
      std::erase_if(entries, [&](const Entry& other) { return other.key == entry.key && other.failed(); });
      entries.push_back(std::move(entry));
    }
  }

 private:
  std::string side_;
};

class DbmateHistory final : public SideProgress {
 public:
  explicit DbmateHistory(std::string schema) : SideProgress{std::move(schema), "schema_migrations"} {}
  Layout layout() const override { return Layout::dbmate; }
  std::vector<std::int64_t> lock_ids(std::string_view) const override { return {0x636F646F7073}; }  // dbmate has no lock: "codops"
  std::string create_table() const override { return fmt::format("CREATE TABLE IF NOT EXISTS {} (version varchar PRIMARY KEY);", table()); }
  std::vector<Entry> read(pg::Connection& connection, const Limits& limits) const override {
    const auto rows = connection.query(fmt::format("SELECT version FROM {} ORDER BY version", table()), limits);
    std::vector<Entry> entries(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      entries[i].key = entries[i].name = rows.text(i, 0);
      entries[i].finished = true;
    }
    add_progress(connection, entries, limits);
    return entries;
  }
  std::string applied(const Migration& migration, const Attempt&) const override {
    return fmt::format("INSERT INTO {} (version) VALUES ({});", table(), pg::quote_literal(migration.key));
  }
  std::string removed(const Migration& migration, const Source&) const override { return without(migration); }
  std::string taking_back(const Migration& migration, const Attempt& attempt, const Progress& progress) const override {
    return without(migration) + "\n" + SideProgress::taking_back(migration, attempt, progress);
  }

 private:
  std::string without(const Migration& migration) const { return fmt::format("DELETE FROM {} WHERE version = {};", table(), pg::quote_literal(migration.key)); }
};

std::uint32_t crc32(std::string_view text) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? 0xEDB88320U ^ (crc >> 1) : crc >> 1;
  }
  return ~crc;
}

// One row: the version that the schema is at, and whether a migration broke off there. What lies below it is applied.
class GolangMigrateHistory final : public SideProgress {
 public:
  GolangMigrateHistory(std::string schema, std::string table) : SideProgress{std::move(schema), table}, name_{std::move(table)} {}
  Layout layout() const override { return Layout::golang_migrate; }
  // database.GenerateAdvisoryLockId: crc32 of the names joined by NUL, times a salt, modulo 2^32. Its program takes the path of the URL
  // for the database's name, slash and all; programs that hand a connection to its library have the name alone.
  std::vector<std::int64_t> lock_ids(std::string_view database) const override {
    std::vector<std::int64_t> ids;
    for (const auto* before : {"/", ""}) {
      std::string text = schema();
      text.append(1, '\0').append(name_).append(1, '\0').append(before).append(database);
      ids.push_back(static_cast<std::int64_t>(static_cast<std::uint32_t>(crc32(text) * 1486364155U)));
    }
    return ids;
  }
  std::string create_table() const override {
    return fmt::format("CREATE TABLE IF NOT EXISTS {} (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);", table());
  }
  std::vector<Entry> read(pg::Connection& connection, const Limits& limits) const override {
    const auto rows = connection.query(fmt::format("SELECT version, dirty FROM {} LIMIT 1", table()), limits);
    std::vector<Entry> entries;
    if (!rows.empty()) {
      Entry entry;
      entry.key = entry.name = rows.text(0, 0);
      entry.finished = !rows.boolean(0, 1);
      entries.push_back(std::move(entry));
    }
    add_progress(connection, entries, limits);
    return entries;
  }
  std::string applied(const Migration& migration, const Attempt&) const override { return at(migration.key, false); }
  std::string begun(const Migration& migration, const Attempt& attempt, const Progress& progress) const override {
    return at(migration.key, true) + "\n" + SideProgress::begun(migration, attempt, progress);
  }
  std::string removed(const Migration& migration, const Source& source) const override { return before(migration, source); }
  std::string taking_back(const Migration& migration, const Attempt& attempt, const Progress& progress) const override {
    return at(migration.key, true) + "\n" + SideProgress::taking_back(migration, attempt, progress);
  }
  // A row at that version would say that it is applied.
  std::string marked_rolled_back(const Migration& migration, const Source& source) const override {
    return SideProgress::marked_rolled_back(migration, source) + "\n" + before(migration, source);
  }

 private:
  // Where the schema was before that migration, whose own file may be gone.
  std::string before(const Migration& migration, const Source& source) const {
    const auto number = [](const std::string& version) { return std::strtoull(version.c_str(), nullptr, 10); };
    const Migration* previous = nullptr;
    for (const auto& one : source.migrations) {
      if (number(one.key) < number(migration.key) && (previous == nullptr || number(previous->key) < number(one.key))) previous = &one;
    }
    return previous == nullptr ? fmt::format("TRUNCATE {};", table()) : at(previous->key, false);
  }
  std::string at(const std::string& version, bool dirty) const {
    return fmt::format("TRUNCATE {0};\nINSERT INTO {0} (version, dirty) VALUES ({1}, {2});", table(), version, dirty);
  }
  std::string name_;
};

// Java's String.hashCode, over ASCII.
std::int32_t java_hash(std::string_view text) {
  std::uint32_t hash = 0;
  for (const char c : text) hash = hash * 31U + static_cast<unsigned char>(c);
  return static_cast<std::int32_t>(hash);
}

class FlywayHistory final : public SideProgress {
 public:
  explicit FlywayHistory(std::string schema) : SideProgress{std::move(schema), "flyway_schema_history"} {}
  Layout layout() const override { return Layout::flyway; }
  // "FlywayA" as bytes plus the hash of the table's quoted name.
  std::vector<std::int64_t> lock_ids(std::string_view) const override {
    constexpr std::int64_t magic = (0x46LL << 40) + (0x6CLL << 32) + (0x79LL << 24) + (0x77LL << 16) + (0x61LL << 8) + 0x79LL;
    return {magic + java_hash(table())};
  }
  // What PostgreSQLSchema.doEmpty looks for: nothing at all may be there that isn't an extension's.
  void require_creatable(pg::Connection& connection, const std::string& subject, const Limits& limits) const override {
    const auto rows = connection.query(
        "SELECT x.name FROM pg_namespace n JOIN (SELECT 'pg_class'::regclass AS class, oid, relnamespace AS space, relname::text AS name FROM pg_class WHERE relkind IN ('r', 'p', 'f', 'v', "
        "'m', 'S') UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace, typname FROM pg_type WHERE typtype IN ('e', 'd') UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace, "
        "proname FROM pg_proc) x ON x.space = n.oid WHERE n.nspname = $1 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = x.class AND d.objid = x.oid AND d.deptype = 'e') ORDER BY "
        "1 LIMIT 1",
        {schema()}, limits);
    if (rows.empty()) return;
    throw Failure{Exit::failed, fmt::format("the schema \"{}\" is not empty (\"{}\") but has no migration history, {}", schema(), rows.text(0, 0), table()),
                  fmt::format("name the last migration whose effects the database already has: codops migrate baseline {0} --to NAME; the later ones then run (codops migrate status {0} "
                              "lists them all)",
                              subject)};
  }
  std::string create_table() const override {
    return fmt::format(
        "CREATE TABLE IF NOT EXISTS {0} (\n    installed_rank INT NOT NULL,\n    version VARCHAR(50),\n"
        "    description VARCHAR(200) NOT NULL,\n    type VARCHAR(20) NOT NULL,\n    script VARCHAR(1000) NOT NULL,\n    checksum INTEGER,\n"
        "    installed_by VARCHAR(100) NOT NULL,\n    installed_on TIMESTAMP NOT NULL DEFAULT now(),\n    execution_time INTEGER NOT NULL,\n"
        "    success BOOLEAN NOT NULL,\n    CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank)\n);\n"
        "CREATE INDEX IF NOT EXISTS flyway_schema_history_s_idx ON {0} (success);",
        table());
  }
  std::vector<Entry> read(pg::Connection& connection, const Limits& limits) const override {
    const auto rows = connection.query(
        fmt::format("SELECT installed_rank, version, description, coalesce(checksum::text, ''), success, type, script, "
                    "to_char(installed_on, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM {} ORDER BY installed_rank",
                    table()),
        limits);
    std::vector<Entry> entries;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto type = rows.text(i, 5);
      if (type == "SCHEMA") continue;
      Entry entry;
      entry.id = rows.text(i, 0);
      entry.key = rows.is_null(i, 1) ? "R__" + std::string{rows.text(i, 2)} : std::string{rows.text(i, 1)};
      entry.name = rows.text(i, 6);
      entry.checksum = rows.text(i, 3);
      entry.started_at = entry.finished_at = rows.text(i, 7);
      entry.finished = rows.boolean(i, 4);
      if (type == "BASELINE") entry.logs = "baseline";
      if (type == "DELETE" || type.starts_with("UNDO")) {
        std::erase_if(entries, [&](const Entry& other) { return other.key == entry.key; });
        continue;
      }
      // A repeatable script that ran again: only its last run counts.
      std::erase_if(entries, [&](const Entry& other) { return other.key == entry.key; });
      entries.push_back(std::move(entry));
    }
    add_progress(connection, entries, limits);
    return entries;
  }
  std::string applied(const Migration& migration, const Attempt& attempt) const override {
    return fmt::format(
        "DELETE FROM {0} WHERE NOT success AND script = {4};\n"
        "INSERT INTO {0} (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success) "
        "SELECT coalesce(max(installed_rank), 0) + 1, {1}, {2}, 'SQL', {4}, {3}, current_user, {5}, true FROM {0};",
        table(), migration.repeatable ? "NULL" : pg::quote_literal(migration.key), pg::quote_literal(migration.description),
        checksum_of(Layout::flyway, migration), pg::quote_literal(migration.path), attempt.took.count());
  }
  std::string marked_rolled_back(const Migration& migration, const Source& source) const override {
    return SideProgress::marked_rolled_back(migration, source) + "\n" +
           fmt::format("DELETE FROM {} WHERE NOT success AND script = {};", table(), pg::quote_literal(migration.path));
  }
  std::string removed(const Migration& migration, const Source&) const override {
    return fmt::format("DELETE FROM {} WHERE script = {};", table(), pg::quote_literal(migration.path));
  }
  std::string taking_back(const Migration& migration, const Attempt& attempt, const Progress& progress) const override {
    return fmt::format("UPDATE {} SET success = false WHERE script = {};\n", table(), pg::quote_literal(migration.path)) + SideProgress::taking_back(migration, attempt, progress);
  }
};

}  // namespace

std::unique_ptr<History> dbmate_history(std::string schema) { return std::make_unique<DbmateHistory>(std::move(schema)); }
std::unique_ptr<History> golang_migrate_history(std::string schema, std::string table) { return std::make_unique<GolangMigrateHistory>(std::move(schema), std::move(table)); }
std::unique_ptr<History> flyway_history(std::string schema) { return std::make_unique<FlywayHistory>(std::move(schema)); }

}  // namespace codops::migrate
