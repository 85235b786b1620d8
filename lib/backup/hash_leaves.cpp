#include "lib/backup/hash_leaves.hpp"

#include <fmt/format.h>

#include "lib/backup/table_key.hpp"

namespace codops::backup {

std::map<std::string, HashRoot> hash_leaves(io::postgres::Connection& connection, const Limits& limits) {
  std::map<std::string, HashRoot> roots;
  if (connection.server_version() < 120000) return roots;  // has no pg_partition_ancestors
  const auto rows = connection.query(
      fmt::format("WITH by_hash AS (SELECT p.partrelid AS id, EXISTS (SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod WHERE o.opcname = 'enum_ops'"
                  "   AND o.opcnamespace = 'pg_catalog'::pg_catalog.regnamespace AND m.amname = 'hash' AND o.oid = ANY (p.partclass)) AS of_enum"
                  "  FROM pg_catalog.pg_partitioned_table p WHERE p.partstrat = 'h')"
                  " SELECT {}, {}, pg_catalog.quote_ident(rn.nspname) || '.' || pg_catalog.quote_ident(r.relname),"
                  "  (SELECT pg_catalog.bool_or(h.of_enum) FROM pg_catalog.pg_partition_ancestors(c.oid) a JOIN by_hash h ON h.id = a.relid),"
                  "  (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(t.attname), ', ' ORDER BY t.attnum) FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped)"
                  " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                  " JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid) JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace"
                  " WHERE c.relispartition AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) a JOIN by_hash h ON h.id = a.relid)",
                  table_key_sql("n.nspname", "c.relname"), table_key_sql("rn.nspname", "r.relname")),
      limits);
  for (std::size_t i = 0; i < rows.size(); ++i) roots.emplace(rows.text(i, 0), HashRoot{std::string{rows.text(i, 1)}, std::string{rows.text(i, 2)}, rows.boolean(i, 3), std::string{rows.text(i, 4)}});
  return roots;
}

}  // namespace codops::backup
