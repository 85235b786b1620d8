#pragma once
// Putting a restored database into the place of the live one, and back. All that happens to the live one is a rename,
// in one transaction.
#include <optional>
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/base/clock.hpp"

namespace codops::backup {

// At most 63 bytes: "shop" + "_before_20261123_101500".
std::string side_name(std::string_view database, std::string_view word, WallTime time);

// A new, empty database as `like` is (encoding, locale, owner, tablespace). Failure{failed} when the name is taken.
struct DatabaseShape {
  std::string encoding, collate, ctype, owner;
};
void create_database(io::postgres::Connection& server, const std::string& name, const DatabaseShape& shape,
                     const Limits& limits);
DatabaseShape shape_of(io::postgres::Connection& server, const std::string& database, const Limits& limits);
bool database_exists(io::postgres::Connection& server, const std::string& name, const Limits& limits);
void drop_database(io::postgres::Connection& server, const std::string& name, const Limits& limits);
// ALTER DATABASE … SET, ALTER ROLE … IN DATABASE … SET, privileges, connection limit and comment: what a rename leaves
// behind.
void copy_properties(io::postgres::Connection& server, const std::string& from, const std::string& to,
                     const Limits& limits);

// live → aside, fresh → live. Sessions of both are ended. On any failure the live one is as it was and takes
// connections again.
void swap_databases(io::postgres::Connection& server, const std::string& live, const std::string& fresh,
                    const std::string& aside, const Limits& limits);

// The newest database that a restore of `live` put aside.
std::optional<std::string> put_aside(io::postgres::Connection& server, const std::string& live, const Limits& limits);

}  // namespace codops::backup
