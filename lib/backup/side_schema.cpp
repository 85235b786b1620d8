#include "lib/backup/side_schema.hpp"

#include <fmt/format.h>

#include "lib/backup/swap.hpp"

namespace codops::backup {
namespace {

constexpr std::string_view finished = "restored_", unfinished = "restoring_", ours = "codops restore --table: ";

}  // namespace

std::string side_schema(WallTime time) { return std::string{finished} + stamp_of(time); }
std::string unfinished_side_schema(WallTime time) { return std::string{unfinished} + stamp_of(time); }

bool is_side_schema(std::string_view name) {
  for (const auto front : {finished, unfinished}) {
    if (name.starts_with(front) && is_stamp(name.substr(front.size()))) return true;
  }
  return false;
}

std::string side_schema_comment(const std::string& source) {
  return fmt::format("{}rows of backup {}; no backup takes this schema along while it has this comment", ours, source);
}

std::vector<std::string> side_schemas(io::postgres::Connection& connection, const Limits& limits) {
  // What a restore made are tables with their types, defaults and TOAST; its user may have added indexes and constraints. Anything
  // else that depends on them, or lies in the schema, is somebody's work.
  // One pass over pg_depend, whose rows are joined: it is large where there are many tables.
  const auto rows = connection.query(
      "WITH ours AS (SELECT oid, nspname FROM pg_catalog.pg_namespace"
      "  WHERE nspname ~ '^restor(ed|ing)_' AND pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_namespace'), $1) = 1),"
      " inside AS (SELECT c.tableoid AS class, c.oid, c.relnamespace AS schema FROM pg_catalog.pg_class c JOIN ours ON ours.oid = c.relnamespace"
      "  UNION ALL SELECT t.tableoid, t.oid, t.typnamespace FROM pg_catalog.pg_type t JOIN ours ON ours.oid = t.typnamespace),"
      " harmless AS (SELECT class, oid, schema FROM inside"
      "  UNION ALL SELECT o.tableoid, o.oid, o.connamespace FROM pg_catalog.pg_constraint o JOIN ours ON ours.oid = o.connamespace"
      "  UNION ALL SELECT a.tableoid, a.oid, c.relnamespace FROM pg_catalog.pg_attrdef a JOIN pg_catalog.pg_class c ON c.oid = a.adrelid JOIN ours ON ours.oid = c.relnamespace),"
      " needing AS (SELECT i.schema, d.classid, d.objid FROM pg_catalog.pg_depend d JOIN inside i ON i.class = d.refclassid AND i.oid = d.refobjid),"
      " taken AS (SELECT n.schema FROM needing n LEFT JOIN harmless h ON h.class = n.classid AND h.oid = n.objid AND h.schema = n.schema"
      "   LEFT JOIN pg_catalog.pg_class toast ON toast.tableoid = n.classid AND toast.oid = n.objid AND toast.relnamespace = 'pg_toast'::pg_catalog.regnamespace"
      "   WHERE h.oid IS NULL AND toast.oid IS NULL"
      "  UNION ALL SELECT ours.oid FROM pg_catalog.pg_depend d JOIN ours ON d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = ours.oid"
      "   WHERE d.classid NOT IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)"
      "  UNION ALL SELECT c.relnamespace FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind = 'r')"
      " SELECT nspname FROM ours WHERE oid NOT IN (SELECT schema FROM taken) ORDER BY 1",
      {std::string{ours}}, limits);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (is_side_schema(rows.text(i, 0))) names.emplace_back(rows.text(i, 0));
  }
  return names;
}

}  // namespace codops::backup
