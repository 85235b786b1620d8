#pragma once
// What concurrent builds of indexes leave behind, as the catalog says it. Names are qualified and quoted.
#include <set>
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/migrate/statement.hpp"

namespace codops::migrate {

std::string quoted_name(const Name& name);

// Indexes that are not valid and that nobody is building right now.
std::set<std::string> invalid_indexes(io::postgres::Connection& connection, const Limits& limits);

// What a REINDEX CONCURRENTLY that was cut off leaves beside the index that it was to replace. `target`: quoted, of an index or a table;
// nullopt: the whole database.
std::vector<std::string> reindex_leftovers(io::postgres::Connection& connection, const io::postgres::Value& target, const Limits& limits);

struct TableIndex {
  std::string quoted, name;
  bool valid{false}, unique{false}, own_name{false};  // own_name: such as the server chooses for one without a name
};
std::vector<TableIndex> indexes_of(io::postgres::Connection& connection, const Name& table, const Limits& limits);

enum class IndexState { absent, invalid, valid };
// An index's schema is its table's. `found` gets the name for DROP.
IndexState index_state(io::postgres::Connection& connection, const Parsed& parsed, std::string& found, const Limits& limits);

}  // namespace codops::migrate
