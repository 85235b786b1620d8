#pragma once
// What concurrent builds of indexes leave behind, as the catalog says it. Names are qualified and quoted.
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/migrate/statement.hpp"

namespace codops::migrate {

std::string quoted_name(const Name& name);

// What a REINDEX CONCURRENTLY that was cut off leaves beside the index that it was to replace. `target`: quoted, of an index or a table;
// nullopt: the whole database.
std::vector<std::string> reindex_leftovers(io::postgres::Connection& connection, const io::postgres::Value& target, const Limits& limits);

// A table's indexes, but for those that somebody is building right now.
struct TableIndex {
  std::string quoted, name;
  bool valid{false}, unique{false}, own_name{false};  // own_name: such as the server chooses for one without a name
};
std::vector<TableIndex> indexes_of(io::postgres::Connection& connection, const Name& table, const Limits& limits);

}  // namespace codops::migrate
