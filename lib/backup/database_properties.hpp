#pragma once
// ALTER DATABASE … SET, ALTER ROLE … IN DATABASE … SET, privileges, connection limit, IS_TEMPLATE: what a rename leaves behind.
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/postgres.hpp"

namespace codops::backup {

// `but`: a setting of the database's own that is left out; the same one of a role in it is none of it. Returned is what the server
// refuses this role, which is no reason to be without the rows: `ALTER ROLE "reporter" IN DATABASE "shop" SET "work_mem": permission denied`.
std::vector<std::string> copy_properties(io::postgres::Connection& server, const std::string& from, const std::string& to, std::string_view but,
                                         const Limits& limits);
// The same, before anything is done: each is said to `database` itself as it is, and taken back.
std::vector<std::string> refused_properties(io::postgres::Connection& server, const std::string& database, const Limits& limits);

// One value of ALTER … SET for what is stored of a setting that is a list of names: `"a b", public` → `'a b', 'public'`, and none at all or
// one empty name → `''`. As a literal each: quoted as a name, an empty one would be no SQL.
std::string list_setting(std::string_view stored);

}  // namespace codops::backup
