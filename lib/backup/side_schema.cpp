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
  const auto rows = connection.query(
      "SELECT n.nspname FROM pg_catalog.pg_namespace n"
      " WHERE n.nspname ~ '^restor(ed|ing)_' AND pg_catalog.strpos(pg_catalog.obj_description(n.oid, 'pg_namespace'), $1) = 1"
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid"
      "  AND d.classid NOT IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass))"
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relnamespace = n.oid AND c.relkind = 'r')"
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
      "  WHERE (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid IN (SELECT oid FROM pg_catalog.pg_class WHERE relnamespace = n.oid)"
      "    OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (SELECT oid FROM pg_catalog.pg_type WHERE typnamespace = n.oid))"
      "  AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid IN"
      "      (SELECT oid FROM pg_catalog.pg_class WHERE relnamespace IN (n.oid, 'pg_toast'::pg_catalog.regnamespace))"
      "    OR d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid IN (SELECT oid FROM pg_catalog.pg_type WHERE typnamespace = n.oid)"
      "    OR d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid IN (SELECT oid FROM pg_catalog.pg_constraint WHERE connamespace = n.oid)"
      "    OR d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid IN"
      "      (SELECT a.oid FROM pg_catalog.pg_attrdef a JOIN pg_catalog.pg_class c ON c.oid = a.adrelid WHERE c.relnamespace = n.oid)))"
      " ORDER BY 1",
      {std::string{ours}}, limits);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (is_side_schema(rows.text(i, 0))) names.emplace_back(rows.text(i, 0));
  }
  return names;
}

}  // namespace codops::backup
