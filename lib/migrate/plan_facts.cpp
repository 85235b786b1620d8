// What the catalogs say about the tables, types, functions and indexes that a plan has to judge.
#include <fmt/format.h>

#include <algorithm>

#include "lib/migrate/analysis.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

using Kind = Parsed::Kind;

std::string quoted(const Name& name) {
  return name.schema.empty() ? pg::quote_identifier(name.name) : pg::quote_identifier(name.schema) + "." + pg::quote_identifier(name.name);
}

// A table's name as a script of this connection would write it.
constexpr const char* shown_name = "CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname END, c.relname";
constexpr const char* from_classes = " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace ";

std::vector<Name> names_of(const pg::Rows& rows) {
  std::vector<Name> names;
  for (std::size_t i = 0; i < rows.size(); ++i) names.push_back({std::string{rows.text(i, 0)}, std::string{rows.text(i, 1)}});
  return names;
}

Name first_of(const pg::Rows& rows) { return rows.empty() ? Name{} : names_of(rows).front(); }

bool read_sizes(pg::Connection& connection, const std::string& name, TableFacts& facts, const Limits& limits) {
  const auto rows = connection.query(
      "WITH RECURSIVE tree AS (SELECT to_regclass($1)::oid AS oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid), "
      "sized AS (SELECT c.oid, c.relkind, coalesce(pg_relation_size(c.oid), 0) AS bytes, coalesce(pg_total_relation_size(c.oid), 0) AS all_bytes, "
      "CASE WHEN c.reltuples = 0 AND c.relpages = 0 AND pg_relation_size(c.oid) > 0 THEN -1 ELSE c.reltuples END AS rows FROM pg_class c JOIN tree USING (oid)) "
      "SELECT own.rows, own.bytes, own.all_bytes, own.relkind = 'p', EXISTS (SELECT FROM pg_index WHERE indrelid = own.oid), "
      "coalesce((SELECT CASE WHEN bool_or(rows < 0 AND bytes > 0) OR bool_and(rows < 0) THEN -1 ELSE sum(greatest(rows, 0)) END FROM sized WHERE relkind NOT IN ('p', 'I')), 0), "
      "(SELECT sum(bytes) FROM sized), (SELECT sum(all_bytes) FROM sized), (SELECT count(*) FROM sized WHERE relkind NOT IN ('p', 'I') AND oid <> own.oid) "
      "FROM sized own WHERE own.oid = to_regclass($1)",
      {name}, limits);
  if (rows.empty()) return false;
  facts.exists = true;
  facts.partitioned = rows.boolean(0, 3);
  facts.own_rows = facts.partitioned ? 0 : rows.real(0, 0);
  facts.own_bytes = static_cast<std::uint64_t>(rows.number(0, 1));
  facts.own_all_bytes = static_cast<std::uint64_t>(rows.number(0, 2));
  facts.indexed = rows.boolean(0, 4);
  facts.rows = rows.real(0, 5);
  facts.bytes = static_cast<std::uint64_t>(rows.number(0, 6));
  facts.all_bytes = static_cast<std::uint64_t>(rows.number(0, 7));
  facts.tables_below = static_cast<std::uint64_t>(rows.number(0, 8));
  return true;
}

void read_columns(pg::Connection& connection, const std::string& name, TableFacts& facts, const Limits& limits) {
  const auto columns = connection.query(
      "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped", {name}, limits);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    facts.column_types[std::string{columns.text(i, 0)}] = columns.text(i, 1);
    if (columns.boolean(i, 2)) facts.checked_not_null.emplace_back(columns.text(i, 0));
  }
  const auto checks = connection.query(
      "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conrelid = to_regclass($1) AND contype = 'c' AND convalidated AND (NOT connoinherit OR NOT EXISTS "
      "(SELECT FROM pg_inherits WHERE inhparent = conrelid))",
      {name}, limits);
  for (std::size_t i = 0; i < checks.size(); ++i) {
    for (auto& column : columns_not_null_by(checks.text(i, 0))) facts.checked_not_null.push_back(std::move(column));
  }
  // A new type checks the constraints of a column again, and builds indexes that are more than the column.
  const auto again = connection.query(
      "SELECT DISTINCT a.attname, k.scan FROM pg_attribute a JOIN (SELECT conrelid AS rel, unnest(conkey) AS num, true AS scan FROM pg_constraint WHERE contype = 'c' "
      "UNION ALL SELECT i.indrelid, d.refobjsubid, false FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND "
      "d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL "
      "UNION ALL SELECT i.indrelid, b.attnum, false FROM pg_index i JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = ANY (i.indkey) JOIN pg_type t ON t.oid = b.atttypid "
      "WHERE b.attcollation <> t.typcollation) k ON k.rel = a.attrelid AND k.num = a.attnum WHERE a.attrelid = to_regclass($1)",
      {name}, limits);
  for (std::size_t i = 0; i < again.size(); ++i) (again.boolean(i, 1) ? facts.rechecked : facts.reindexed).emplace_back(again.text(i, 0));
}

void read_relations(pg::Connection& connection, const std::string& name, TableFacts& facts, const Limits& limits) {
  const auto select = std::string{"SELECT "} + shown_name + from_classes;
  facts.parent = first_of(connection.query(select + "JOIN pg_inherits i ON i.inhparent = c.oid JOIN pg_class own ON own.oid = i.inhrelid WHERE own.relispartition AND own.oid = to_regclass($1)", {name}, limits));
  facts.default_partition = first_of(connection.query(
      select + "JOIN pg_partitioned_table p ON p.partdefid = c.oid WHERE p.partrelid = to_regclass($1) OR (c.oid <> to_regclass($1) AND p.partrelid = (SELECT inhparent FROM pg_inherits i "
               "JOIN pg_class own ON own.oid = i.inhrelid WHERE own.relispartition AND own.oid = to_regclass($1))) ORDER BY p.partrelid = to_regclass($1) DESC",
      {name}, limits));
  // From here to the others, and from the others to here.
  const auto keys = [&](const char* here, const char* columns, const char* there) {
    const auto rows = connection.query(fmt::format("SELECT {}, k.conname, ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.{} AND a.attnum = ANY (k.{})){}JOIN pg_constraint k ON k.{} = c.oid AND "
                                                   "k.contype = 'f' WHERE k.{} = to_regclass($1) AND k.conrelid <> k.confrelid",
                                                   shown_name, here, columns, from_classes, there, here),
                                       {name}, limits);
    std::vector<TableFacts::ForeignKey> found;
    for (std::size_t i = 0; i < rows.size(); ++i) found.push_back({std::string{rows.text(i, 2)}, rows.array(i, 3), {std::string{rows.text(i, 0)}, std::string{rows.text(i, 1)}}});
    return found;
  };
  facts.foreign_keys = keys("conrelid", "conkey", "confrelid");
  facts.referenced_by = keys("confrelid", "confkey", "conrelid");
  facts.referencing = names_of(connection.query(select + "WHERE c.oid IN (SELECT conrelid FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass($1) AND conrelid <> confrelid) ORDER BY 1, 2", {name}, limits));
  if (facts.referencing.empty()) return;
  facts.emptied_along = names_of(connection.query(
      "WITH RECURSIVE along AS (SELECT to_regclass($1)::oid AS oid UNION SELECT k.conrelid FROM pg_constraint k JOIN along a ON k.confrelid = a.oid WHERE k.contype = 'f') " + select +
          "WHERE c.oid IN (SELECT oid FROM along) AND c.oid <> to_regclass($1) ORDER BY 1, 2",
      {name}, limits));
}

bool same_table(const Name& a, const Name& b) { return a.name == b.name && (a.schema == b.schema || a.schema.empty() || b.schema.empty()); }

}  // namespace

bool has_table(pg::Connection& connection, const Name& table, const Limits& limits) {
  return connection.query("SELECT to_regclass($1) IS NOT NULL", {quoted(table)}, limits).boolean(0, 0);
}

void CatalogReader::look_for_table(const Name& name) {
  if (name.empty() || !looked_.insert(name.shown()).second) return;
  auto& facts = catalog_.tables[name.shown()] = {};
  const auto text = quoted(name);
  if (!read_sizes(connection_, text, facts, limits_)) return;
  read_columns(connection_, text, facts, limits_);
  read_relations(connection_, text, facts, limits_);
  look_for_related(TableFacts{facts});
}

// One step away: for their sizes.
void CatalogReader::look_for_related(const TableFacts& facts) {
  const auto look = [&](const Name& name) {
    if (name.empty() || catalog_.tables.contains(name.shown())) return;
    read_sizes(connection_, quoted(name), catalog_.tables[name.shown()], limits_);
  };
  look(facts.default_partition);
  for (const auto& key : facts.foreign_keys) look(key.references);
  for (const auto& key : facts.referenced_by) look(key.references);
}

void CatalogReader::look_for_type(const Name& name) {
  if (name.empty() || catalog_.types.contains(name.shown())) return;
  const auto rows = connection_.query(
      "WITH RECURSIVE domains AS (SELECT oid, typtype, typbasetype, typnotnull, typdefault FROM pg_type WHERE oid = to_regtype($1) UNION ALL SELECT t.oid, t.typtype, t.typbasetype, "
      "t.typnotnull, t.typdefault FROM pg_type t JOIN domains d ON d.typbasetype = t.oid AND d.typtype = 'd') "
      "SELECT coalesce(bool_or(typnotnull OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = domains.oid)), false), coalesce(bool_or(typdefault LIKE '%(%'), false) FROM domains WHERE typtype = 'd'",
      {quoted(name)}, limits_);
  catalog_.types[name.shown()] = {rows.boolean(0, 0), rows.boolean(0, 1), {}};
}

void CatalogReader::look_for_function(const Name& name) {
  const auto rows = connection_.query(
      "SELECT coalesce(bool_and(p.provolatile <> 'v'), false) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = $1 AND ($2 = '' OR n.nspname = $2)",
      {name.name, name.schema}, limits_);
  if (rows.boolean(0, 0)) catalog_.steady_functions.insert(name.shown());
}

void CatalogReader::look_for_index(const Name& name) {
  if (name.empty()) return;
  const auto rows = connection_.query(
      "SELECT coalesce(bool_and(a.attnotnull), false) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indexrelid = to_regclass($1)",
      {quoted(name)}, limits_);
  if (rows.boolean(0, 0)) catalog_.not_null_indexes.insert(name.shown());
}

Name CatalogReader::table_of_index(const Name& index) {
  return first_of(connection_.query(std::string{"SELECT "} + shown_name + from_classes + "JOIN pg_index i ON i.indrelid = c.oid WHERE i.indexrelid = to_regclass($1)", {quoted(index)}, limits_));
}

void CatalogReader::look_for(Parsed& statement) {
  for (auto& part : statement.parts) look_for(part);
  for (const auto& name : statement.calls) look_for_function(name);
  if ((statement.kind == Kind::drop_index || statement.kind == Kind::reindex) && statement.table.empty() && !statement.objects.empty()) {
    statement.table = table_of_index(statement.object());
  }
  look_for_table(statement.table);
  for (const auto& object : statement.objects) look_for_table(object);
  for (const auto& action : statement.actions) {
    look_for_table(action.references);
    for (const auto& name : action.calls) look_for_function(name);
    look_for_index(action.index);
    if (statement.kind == Kind::alter_table && action.kind == Action::Kind::add_column) look_for_type(action.type_name);
  }
  if (statement.kind == Kind::alter_domain) {
    look_for_type(statement.object());
    auto& type = catalog_.types[statement.object().shown()];
    type.tables = using_type_of(statement);
  }
}

std::vector<Name> CatalogReader::dropped_with(const Parsed& statement) {
  std::vector<Name> names;
  for (const auto& object : statement.objects) {
    auto more = names_of(connection_.query(std::string{"SELECT "} + shown_name + from_classes +
                                               "WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND " +
                                               (statement.kind == Kind::drop_schema ? "n.nspname" : "pg_get_userbyid(c.relowner)") + " = $1 ORDER BY 1, 2",
                                           {object.name}, limits_));
    names.insert(names.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  return names;
}

// Tables with a column of the type, of an array of it, or of a domain over it; of an extension: of any of its types.
std::vector<Name> CatalogReader::using_type_of(const Parsed& statement) {
  std::vector<Name> names;
  const bool extension = statement.kind == Kind::drop_extension;
  if (!(statement.kind == Kind::alter_domain || ((statement.kind == Kind::drop_type || extension) && statement.cascade))) return names;
  for (const auto& object : statement.objects) {
    const auto types = extension ? std::string{"SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.classid = 'pg_type'::regclass AND d.deptype = 'e' AND e.extname = $1"}
                                 : std::string{"SELECT to_regtype($1)::oid"};
    auto more = names_of(connection_.query(
        "WITH RECURSIVE used AS (SELECT oid FROM pg_type WHERE oid IN (" + types + ") UNION SELECT t.oid FROM pg_type t JOIN used u ON t.typbasetype = u.oid OR (t.typelem = u.oid AND t.typcategory = 'A')) SELECT " +
            shown_name + from_classes + "WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.oid IN (SELECT a.attrelid FROM pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN (SELECT oid FROM used)) ORDER BY 1, 2",
        {extension ? object.name : quoted(object)}, limits_));
    for (auto& name : more) {
      look_for_table(name);
      names.push_back(std::move(name));
    }
  }
  return names;
}

void CatalogReader::remember(const Parsed& statement, std::vector<Name>& created) {
  const auto forget = [&](const Name& name) { std::erase_if(created, [&](const Name& one) { return same_table(one, name); }); };
  const auto& table = statement.object();
  switch (statement.kind) {
    case Kind::create_table:
    case Kind::create_matview:
      if (!catalog_.tables[table.shown()].exists) created.push_back(table);
      break;
    case Kind::create_type: catalog_.types[table.shown()].constrained = statement.constrained; break;
    case Kind::drop_table:
      for (const auto& name : statement.objects) {
        forget(name);
        catalog_.tables[name.shown()] = {};
        looked_.insert(name.shown());
      }
      break;
    case Kind::alter_table:
      for (const auto& action : statement.actions) {
        auto& facts = catalog_.tables[table.shown()];
        if (action.kind == Action::Kind::drop_constraint || action.kind == Action::Kind::drop_not_null) facts.checked_not_null.clear();
        if (action.kind == Action::Kind::column_type || action.kind == Action::Kind::rename_column) facts.column_types.erase(action.name);
        if (action.kind != Action::Kind::rename_table && action.kind != Action::Kind::set_schema) continue;
        // What is known goes with the table; the name it had is free, and the new one is this.
        const Name now{action.kind == Action::Kind::set_schema ? action.name : table.schema, action.kind == Action::Kind::set_schema ? table.name : action.name};
        const bool fresh = std::find(created.begin(), created.end(), table) != created.end();
        auto moved = std::move(facts);
        forget(now);
        forget(table);
        catalog_.tables[table.shown()] = {};
        catalog_.tables[now.shown()] = std::move(moved);
        looked_.insert(now.shown());
        if (fresh) created.push_back(now);
      }
      break;
    default: break;
  }
  for (const auto& part : statement.parts) {
    if (part.kind == Kind::alter_table) remember(part, created);
  }
}

}  // namespace codops::migrate
