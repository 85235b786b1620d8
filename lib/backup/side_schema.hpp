#pragma once
// Schemas in which `restore --table` lays rows beside the live tables: "restored_20261123_101500_250".
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/io/postgres.hpp"

namespace codops::backup {

std::string side_schema(WallTime time);          // what it is called in the end
std::string unfinished_side_schema(WallTime time);  // while it is filled
bool is_side_schema(std::string_view name);      // either of these
std::string side_schema_comment(const std::string& source);

// Those of this database that no backup takes along: by name and comment a restore's (whoever adopts one removes the comment),
// and nothing elsewhere depends on what is in them, which could then not be restored.
std::vector<std::string> side_schemas(io::postgres::Connection& connection, const Limits& limits);

}  // namespace codops::backup
