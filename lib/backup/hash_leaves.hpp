#pragma once
// Leaves of tables that are partitioned by hash. Of an enum's values the hashes are the server's own: elsewhere a row may belong to
// another leaf.
#include <map>
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::backup {

struct HashRoot {
  std::string table;  // as table_key()
  std::string name;   // quoted, for SQL
  bool by_enum{};     // rows must be loaded through it, as pg_dump has them loaded (forcePartitionRootLoad in pg_dump.c)
  std::string columns;  // of the leaf, in its own order
};

// By the leaf's table_key(). Empty before PostgreSQL 12, which can't tell.
std::map<std::string, HashRoot> hash_leaves(io::postgres::Connection& connection, const Limits& limits);

}  // namespace codops::backup
