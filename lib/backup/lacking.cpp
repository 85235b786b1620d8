#include "lib/backup/lacking.hpp"

#include <fmt/format.h>

#include <vector>

#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {

std::string listed_tables(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 5;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < shown; ++i) text += (i == 0 ? "" : ", ") + text::printable(names[i], 100);
  return names.size() > shown ? text + ", …" : text;
}

std::string counted_tables(std::size_t number) { return fmt::format("{} table{}", number, number == 1 ? "" : "s"); }

}  // namespace

Tables tables_with_rows(io::postgres::Connection& connection, const Limits& limits) {
  const auto rows = connection.query(
      "SELECT n.nspname || '.' || c.relname, pg_catalog.pg_relation_size(c.oid) > 0 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
      " WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')",
      limits);
  Tables tables;
  for (std::size_t i = 0; i < rows.size(); ++i) tables.emplace(rows.text(i, 0), rows.boolean(i, 1));
  return tables;
}

std::string lacking(const Tables& live, const Tables& restored) {
  std::vector<std::string> absent, empty;
  for (const auto& [name, has_rows] : live) {
    const auto found = restored.find(name);
    if (found == restored.end()) absent.push_back(name);
    else if (has_rows && !found->second) empty.push_back(name);
  }
  std::string text;
  if (!absent.empty()) text = fmt::format("has not {} of the live database ({})", counted_tables(absent.size()), listed_tables(absent));
  if (!empty.empty()) text += fmt::format("{} no rows for {} that may have some ({})", text.empty() ? "has" : " and", counted_tables(empty.size()), listed_tables(empty));
  return text;
}

}  // namespace codops::backup
