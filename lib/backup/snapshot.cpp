#include "lib/backup/snapshot.hpp"

#include "lib/backup/hash_leaves.hpp"
#include "lib/backup/programs.hpp"
#include "lib/backup/session.hpp"
#include "lib/backup/side_schema.hpp"
#include "lib/backup/swap.hpp"
#include "lib/backup/table_key.hpp"

namespace codops::backup {

Snapshot::Snapshot(const io::postgres::Target& target, Milliseconds lock_wait, const Limits& limits)
    : connection_{open_for_copy(target, limits)} {
  connection_.run(fmt::format("SET lock_timeout = {}; BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                              lock_wait.count()),
                  limits);
  id_ = connection_.query("SELECT pg_catalog.pg_export_snapshot()", limits).text(0, 0);
  read_identity(limits);
  left_out_ = side_schemas(connection_, limits);
  std::set<std::string> so_anyway;
  for (const auto& [name, value] : copy_settings()) {
    const auto usual = connection_.query("SELECT reset_val FROM pg_catalog.pg_settings WHERE name = $1", {name}, limits);
    if (!usual.empty() && usual.text(0, 0) == value) so_anyway.insert(name);
  }
  session_ = copy_options(so_anyway);
}

void Snapshot::read_identity(const Limits& limits) {
  // What names something on the whole server is read in the encoding that manifests have; tables' names are bytes as the dump has them.
  connection_.run("SET client_encoding = 'UTF8'", limits);
  const auto row = connection_.query(
      "SELECT datname, pg_catalog.pg_get_userbyid(datdba), pg_catalog.pg_encoding_to_char(encoding), datcollate,"
      " datctype, pg_catalog.pg_database_size(oid), pg_catalog.current_setting('server_version'),"
      " pg_catalog.current_setting('is_superuser') = 'on', pg_catalog.current_setting('lc_monetary')"
      " FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
      limits);
  identity_.name = row.text(0, 0);
  identity_.owner = row.text(0, 1);
  identity_.encoding = row.text(0, 2);
  identity_.collate = row.text(0, 3);
  identity_.ctype = row.text(0, 4);
  identity_.size = static_cast<std::uint64_t>(row.number(0, 5));
  identity_.server_version = row.text(0, 6);
  identity_.server_number = connection_.server_version();
  const auto shape = shape_of(connection_, identity_.name, limits);
  identity_.locale = shape.locale;
  identity_.tablespace = shape.tablespace;
  superuser_ = row.boolean(0, 7);
  identity_.lc_monetary = row.text(0, 8);
  const auto tablespaces = connection_.query(
      "SELECT DISTINCT t.spcname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace WHERE t.spcname <> 'pg_global' ORDER BY 1", limits);
  for (std::size_t i = 0; i < tablespaces.size(); ++i) identity_.tablespaces.emplace_back(tablespaces.text(i, 0));
  identity_.system_identifier = ask_origin(connection_, identity_.name, limits).system_identifier;
  const auto extensions =
      connection_.query("SELECT extname || ' ' || extversion FROM pg_catalog.pg_extension ORDER BY 1", limits);
  for (std::size_t i = 0; i < extensions.size(); ++i) identity_.extensions.emplace_back(extensions.text(i, 0));
  const auto roles = connection_.query(
      "SELECT DISTINCT r.rolname FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid"
      " WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND (d.dbid = (SELECT oid FROM"
      " pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) ORDER BY 1",
      limits);
  for (std::size_t i = 0; i < roles.size(); ++i) identity_.roles.emplace_back(roles.text(i, 0));
  connection_.run("SET client_encoding = " + io::postgres::quote_literal(identity_.encoding), limits);
}

DatabaseIdentity ask_origin(io::postgres::Connection& connection, const std::string& database, const Limits& limits) {
  DatabaseIdentity identity;
  identity.name = database;
  if (connection.query("SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')", limits).boolean(0, 0)) {
    identity.system_identifier = connection.query("SELECT system_identifier::text FROM pg_catalog.pg_control_system()", limits).text(0, 0);
  }
  return identity;
}

std::optional<std::string> Snapshot::gone(const Limits& limits) {
  try {
    connection_.query("SELECT", limits);
    return std::nullopt;
  } catch (const io::postgres::DatabaseError& error) {
    if (!error.lost()) return std::nullopt;
    return fmt::format("the session that holds the backup's moment was ended, by a restore that swapped \"{}\", by a restart of the server or by somebody ({})", identity_.name, error.message());
  }
}

std::vector<LargeTable> Snapshot::large_tables(std::uint64_t bytes, const Limits& limits) {
  // Not those of extensions: pg_dump has rules of its own for what it dumps of them.
  const auto rows = connection_.query(
      "SELECT " + table_key_sql("n.nspname", "c.relname") + ", pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname),"
      " (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)"
      "  FROM pg_catalog.pg_attribute a"
      "  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),"
      " pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int, n.nspname, c.relname"
      " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
      " WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'"
      " AND n.nspname <> 'information_schema' AND n.nspname <> ALL ($2::text[]) AND pg_catalog.pg_table_size(c.oid) >= $1::bigint"
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
      "  AND d.objid = c.oid AND d.deptype = 'e')"
      " ORDER BY pg_catalog.pg_table_size(c.oid) DESC, 1",
      {std::to_string(bytes), fmt::format("{{{}}}", fmt::join(left_out_, ","))}, limits);
  const auto leaves = hash_leaves(connection_, limits);
  std::vector<LargeTable> tables;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows.is_null(i, 3)) continue;
    LargeTable table;
    table.table = rows.text(i, 0);
    table.name = fmt::format("{}.{}", rows.text(i, 1), rows.text(i, 2));
    const auto leaf = leaves.find(table.table);
    table.into = leaf != leaves.end() && leaf->second.by_enum ? leaf->second.name : table.name;
    table.columns = rows.text(i, 3);
    table.blocks = static_cast<std::uint64_t>(rows.number(i, 4));
    table.pattern = io::postgres::quote_identifier(rows.text(i, 5)) + "." + io::postgres::quote_identifier(rows.text(i, 6));
    // The snapshot does not see a TRUNCATE or a rewrite of later: the lock keeps them away.
    connection_.query(fmt::format("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", table.name), limits);
    tables.push_back(std::move(table));
  }
  return tables;
}

io::postgres::Connection open_for_copy(const io::postgres::Target& target, const Limits& limits) {
  auto connection = open_session(target, limits);
  // What pg_dump sets (setup_connection in pg_dump.c) or has from us, and the encoding of the database.
  std::string ours;
  for (const auto& [name, value] : copy_settings()) ours += fmt::format("SET {} = '{}';", name, value);
  connection.run(
      ours + "SET xmloption = 'content'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 3; SET array_nulls = on;"
      "SET synchronize_seqscans = off; SET statement_timeout = 0; SET lock_timeout = 0;"
      "SET idle_in_transaction_session_timeout = 0; SET row_security = off; SET search_path = '';"
      "SELECT pg_catalog.set_config('client_encoding', pg_catalog.pg_encoding_to_char(encoding), false)"
      " FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
      limits);
  return connection;
}

}  // namespace codops::backup
