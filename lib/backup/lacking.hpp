#pragma once
// A dump of one table, or of definitions alone, is a file like any other: what it did not bring is told before it takes a database's place.
#include <map>
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::backup {

// Tables of users by their name for people ("public.orders"); whether they take room, as those with rows do.
using Tables = std::map<std::string, bool>;

Tables tables_with_rows(io::postgres::Connection& connection, const Limits& limits);

// "has not 18 tables of the live database (public.a, public.b, public.c, …) and no rows for 2 more (…)"; empty: it lacks none.
std::string lacking(const Tables& live, const Tables& restored);

}  // namespace codops::backup
