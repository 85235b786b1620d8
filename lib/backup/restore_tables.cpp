// Single tables, beside what is live.
#include <map>

#include "lib/backup/hints.hpp"
#include "lib/backup/reading.hpp"
#include "lib/backup/restore_steps.hpp"
#include "lib/backup/session.hpp"
#include "lib/backup/side_schema.hpp"
#include "lib/backup/sql_words.hpp"
#include "lib/backup/table_key.hpp"
#include "lib/io/crypto.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;
using io::postgres::quote_identifier;

struct SideTable {
  std::string name;                // "orders"
  std::string columns;             // of CREATE TABLE
  std::string stored_name;         // quoted, in the backup's encoding
  std::vector<std::string> parts;  // as the manifest names them: the table itself, or its partitions
};

std::vector<TableName> tables_in(Connection& scratch, const Limits& limits) {
  const auto rows = scratch.query("SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                                  " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2", limits);
  std::vector<TableName> tables;
  for (std::size_t i = 0; i < rows.size(); ++i) tables.push_back({std::string{rows.text(i, 0)}, std::string{rows.text(i, 1)}});
  return tables;
}

SideTable describe(const std::string& full, Connection& scratch, const Limits& limits) {
  SideTable table;
  const auto id = scratch.query("SELECT c.oid::text, c.relname, pg_catalog.encode(pg_catalog.convert_to(pg_catalog.quote_ident(c.relname), pg_catalog.getdatabaseencoding()), 'hex') FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                                " WHERE " + table_key_sql("n.nspname", "c.relname") + " = $1 AND c.relkind IN ('r', 'p')",
                                {full}, limits);
  const std::string oid{id.text(0, 0)};
  table.name = id.text(0, 1);
  table.stored_name = io::from_hex(id.text(0, 2)).value_or("");
  const auto columns = scratch.query(
      "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')"
      " FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
      " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
      {oid}, limits);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const bool generated = columns.boolean(i, 2);
    const auto name = quote_identifier(columns.text(i, 0));
    table.columns += fmt::format("{}{} {}{}", table.columns.empty() ? "" : ", ", name, columns.text(i, 1),
                                 generated ? fmt::format(" GENERATED ALWAYS AS ({}) STORED", columns.text(i, 3)) : "");
  }
  const auto parts = scratch.query(
      "WITH RECURSIVE below AS (SELECT $1::oid AS id UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN below ON i.inhparent = below.id"
      "   JOIN pg_catalog.pg_class c ON c.oid = i.inhparent AND c.relkind = 'p')"
      " SELECT pg_catalog.encode(pg_catalog.convert_to(" + table_key_sql("n.nspname", "c.relname") + ", pg_catalog.getdatabaseencoding()), 'hex') FROM below JOIN pg_catalog.pg_class c ON c.oid = below.id JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
      " WHERE c.relkind = 'r'",
      {oid}, limits);
  for (std::size_t i = 0; i < parts.size(); ++i) table.parts.push_back(io::from_hex(parts.text(i, 0)).value_or(""));
  return table;
}

// Whoever has made the database refuse writes by default wants these rows all the same.
constexpr auto writable = "SET default_transaction_read_only = off";

// Dropped unless it was handed over.
class SideSchema {
 public:
  SideSchema(io::postgres::Target database, std::string name, std::string comment)
      : database_{std::move(database)}, name_{std::move(name)}, comment_{std::move(comment)} {}
  SideSchema(const SideSchema&) = delete;
  SideSchema& operator=(const SideSchema&) = delete;
  ~SideSchema() {
    if (!made_) return;
    try {
      const auto limits = Limits{}.within(Milliseconds{20'000});
      auto connection = open_session(database_, limits);
      connection.run(writable, limits);
      connection.run(fmt::format("DROP SCHEMA IF EXISTS {} CASCADE", quote_identifier(name_)), limits);
    } catch (const std::exception&) {
      // Its name says that it is unfinished.
    }
  }
  void make(const std::vector<SideTable>& tables, const Limits& limits) {
    auto connection = open_session(database_, limits);
    connection.run(writable, limits);
    connection.run("SET search_path = ''", limits);
    auto sql = fmt::format("BEGIN; CREATE SCHEMA {0}; COMMENT ON SCHEMA {0} IS {1};", quote_identifier(name_), io::postgres::quote_literal(comment_));
    for (const auto& table : tables) {
      sql += fmt::format(" CREATE TABLE {}.{} ({});", quote_identifier(name_), quote_identifier(table.name), table.columns);
    }
    try {
      connection.run(sql + " COMMIT", limits);
    } catch (const io::postgres::DatabaseError& error) {
      // 42704: a type; 3F000: the schema that it was in.
      if (error.sqlstate() != "42704" && error.sqlstate() != "3F000") throw;
      throw Failure{Exit::data, fmt::format("a column has a type that \"{}\" no longer has: {}", database_.database, error.message()), "restore the backup whole beside it, and take the rows from there: --into NAME"};
    }
    made_ = true;
  }
  void hand_over(const std::string& name, const Limits& limits) {
    auto connection = open_session(database_, limits);
    connection.run(writable, limits);
    connection.run(fmt::format("ALTER SCHEMA {} RENAME TO {}", quote_identifier(name_), quote_identifier(name)), limits);
    made_ = false;
  }

 private:
  io::postgres::Target database_;
  std::string name_, comment_;
  bool made_{};
};

// The live database may say by now that money is written otherwise. Nothing of it is changed for that: only these sessions.
void read_money_as_written(io::postgres::Target& target, const std::string& lc_monetary, const Limits& limits) {
  auto connection = open_session(target, limits);
  if (lc_monetary.empty() || connection.query("SELECT pg_catalog.current_setting('lc_monetary')", limits).text(0, 0) == lc_monetary) return;
  try {
    connection.query("SELECT pg_catalog.set_config('lc_monetary', $1, false)", {lc_monetary}, limits);
  } catch (const io::postgres::DatabaseError& error) {
    if (error.lost()) throw;
    return;  // a locale that is missing here, which matters to columns of that type only
  }
  auto& options = target.options["options"];
  options += " -c lc_monetary=";
  for (const char c : lc_monetary) {
    if (c == ' ' || c == '\\') options += '\\';
    options += c;
  }
}

}  // namespace

std::string find_table(const std::string& asked, const std::vector<TableName>& tables, const std::string& see) {
  std::vector<std::string> all, matching, full;
  const auto named = named_table(asked);
  for (const auto& table : tables) {
    all.push_back(table_key(table.schema, table.name));
    const auto& key = all.back();
    if (key == asked || key == named) return key;
    if (plain_name(key) == asked) full.push_back(key);
    else if (table.name == asked && !is_side_schema(table.schema)) matching.push_back(key);
  }
  if (full.empty()) full = std::move(matching);
  if (full.size() == 1) return full.front();
  if (full.size() > 1) throw Failure{Exit::usage, fmt::format("\"{}\" is in several schemas: {}", asked, fmt::join(full, ", ")), "name it with its schema, as it is written here"};
  const auto near = nearest(asked.find('.') == std::string::npos ? "public." + asked : asked, all);
  throw Failure{Exit::usage, fmt::format("the backup has no table \"{}\"", asked), near.empty() ? see : fmt::format("did you mean {}?", near)};
}

Restored restore_tables(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request, const Keyring& keys,
                        const Clock& clock, Reporter& reporter, const Limits& limits) {
  const auto started = clock.steady();
  const auto began = clock.now();
  const auto& live = subject.database.database;
  Restored result;
  Steps steps{reporter, clock};
  auto server = open_beside(subject.database, live, limits);
  require_primary(server, limits);
  const auto entry = catalogue.find(request.backup, limits);
  lock_restore(server, live, limits);
  for (const auto& note : mend_restores(server, live, limits)) reporter.warn(note);
  if (!database_exists(server, live, limits)) throw Failure{Exit::usage, fmt::format("there is no database \"{}\"", live), "restore it whole: without --table"};
  const auto programs = find_programs(server.server_version() / 10000, subject.database, subject.container, limits);
  const auto& manifest = entry.manifest;
  const Reading reading{catalogue, manifest.label, limits};
  result.source = manifest.label;
  for (const auto& passed : entry.passed_over) reporter.warn(passed);

  std::vector<SideTable> tables;
  std::optional<CheckedBackup> checked;
  steps.step("check", [&] {
    checked.emplace(catalogue, manifest, database_parts(manifest), keys, limits);
    // The definitions, in a database of their own: nobody has to read SQL for what a server can tell.
    Rescue rescue{server.target(), reporter};
    Fresh scratch{rescue, side_name(live, "tables", began)};
    auto shape = manifest.database ? shape_of(*manifest.database) : DatabaseShape{};
    shape.owner.clear();
    shape.tablespace.clear();
    scratch.create(server, shape, limits);
    mark(server, scratch.name(), {live}, limits);
    if (manifest.database) speak_money(server, scratch.name(), manifest.database->lc_monetary, limits);
    const auto target = in_database(subject.database, scratch.name());
    load_definitions(*checked, target, *programs, limits);
    auto connection = open_session(target, limits);
    // Types are told with their schema: where the live database looks for them is its own affair.
    connection.run("SET search_path = ''", limits);
    const auto there = tables_in(connection, limits);
    std::map<std::string, std::string> by_name;  // in the one schema that they come into
    for (const auto& asked : request.tables) {
      const auto full = find_table(asked, there, see_backup(catalogue, manifest.label));
      auto table = describe(full, connection, limits);
      const auto [at, is_new] = by_name.emplace(table.name, full);
      if (!is_new && at->second == full) continue;  // named twice
      if (!is_new) {
        throw Failure{Exit::usage, fmt::format("{} and {} would both be \"{}\" in the one schema that tables are restored into", at->second, full, table.name),
                      "restore one after the other, each into a schema of its own"};
      }
      tables.push_back(std::move(table));
    }
    return fmt::format("{} is whole", result.source);
  });

  auto target = subject.database;
  target.schema.clear();
  if (manifest.database) read_money_as_written(target, manifest.database->lc_monetary, limits);
  SideSchema side{target, unfinished_side_schema(began), side_schema_comment(result.source)};
  steps.step("restore", [&] {
    side.make(tables, limits);
    TablesInto into;
    for (const auto& table : tables) {
      for (const auto& part : table.parts) {
        // An earlier codops named it otherwise.
        into[part] = into[plain_name(part)] = fmt::format("{}.{}", quote_identifier(unfinished_side_schema(began)), table.stored_name);
      }
    }
    for (const auto& content : manifest.tables) {
      if (into.contains(content.table)) result.rows += content.rows;
    }
    Progress progress{reporter, clock, "restore", 0};
    load_tables(*checked, into, target, *programs, request.load, progress, limits);
    result.schema = side_schema(began);
    result.table = tables.front().name;
    side.hand_over(result.schema, limits);
    return fmt::format("{} rows into schema \"{}\"", result.rows, result.schema);
  });
  result.database = live;
  result.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
  return result;
}

}  // namespace codops::backup
