#include "lib/migrate/runner_indexes.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

std::vector<std::string> reindex_leftovers(pg::Connection& connection, const pg::Value& target, const Limits& limits) {
  const auto rows = connection.query(
      "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = "
      "c.relnamespace WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relname ~ '_cc(new|old)[0-9]*$' AND n.nspname <> 'pg_toast' AND NOT EXISTS (SELECT "
      "FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AND ($1::text IS NULL OR i.indrelid = to_regclass($1) OR i.indrelid = "
      "(SELECT t.indrelid FROM pg_index t WHERE t.indexrelid = to_regclass($1)) OR i.indrelid IN (SELECT relid FROM pg_partition_tree(to_regclass($1))))",
      {target}, limits);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) names.emplace_back(rows.text(i, 0));
  return names;
}

std::string quoted_name(const Name& name) {
  return name.schema.empty() ? pg::quote_identifier(name.name) : pg::quote_identifier(name.schema) + "." + pg::quote_identifier(name.name);
}

std::vector<TableIndex> indexes_of(pg::Connection& connection, const Name& table, const Limits& limits) {
  const auto rows = connection.query(
      "SELECT format('%I.%I', n.nspname, c.relname), c.relname, i.indisvalid, i.indisunique, left(c.relname, 20) = left(t.relname, 20) AND c.relname ~ '_(idx|key)[0-9]*$' OR "
      "starts_with(c.relname, t.relname || '_') FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN "
      "pg_class t ON t.oid = i.indrelid WHERE i.indrelid = to_regclass($1) AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = "
      "i.indexrelid)",
      {quoted_name(table)}, limits);
  std::vector<TableIndex> result;
  for (std::size_t i = 0; i < rows.size(); ++i) result.push_back({std::string{rows.text(i, 0)}, std::string{rows.text(i, 1)}, rows.boolean(i, 2), rows.boolean(i, 3), rows.boolean(i, 4)});
  return result;
}

}  // namespace codops::migrate
