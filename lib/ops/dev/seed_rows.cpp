#include "lib/ops/dev/seed_rows.hpp"

#include <fmt/format.h>

namespace codops::ops::dev {

std::string rows_of(io::postgres::Connection& connection, const Limits& limits) {
  const auto tables = connection.query(
      "SELECT format('%I.%I', n.nspname, c.relname), has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
      "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
      "AND n.nspname NOT LIKE 'pg\\_%' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') "
      "AND c.relname NOT IN ('_prisma_migrations', 'schema_migrations', 'codops_migration_progress', 'knex_migrations', 'knex_migrations_lock', "
      "'SequelizeMeta', '__drizzle_migrations', 'pgmigrations', 'typeorm_metadata', 'flyway_schema_history', 'migrations') ORDER BY 1",
      limits);
  std::string text;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const std::string name{tables.text(i, 0)};
    if (!tables.boolean(i, 1)) {
      text += name + " unreadable\n";
      continue;
    }
    const auto counted = connection.query(fmt::format("SELECT count(*) FROM (SELECT FROM {} LIMIT 10001) AS looked_at", name), limits);
    if (counted.text(0, 0) != "0") text += fmt::format("{} {}\n", name, counted.text(0, 0));
  }
  return text;
}

}  // namespace codops::ops::dev
