#pragma once
// Whose rows a database holds: looked at before a seed runs over them.
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::ops::dev {

// The ledger's key: what rows_of() said once the migrations had run, before anybody worked with the database.
inline constexpr const char* rows_before_seed = "seed-rows";

// One line for each table that has rows, with their number up to a bound; tables of extensions and the migrations' own are left out.
// A table that may not be read counts as one with rows.
std::string rows_of(io::postgres::Connection& connection, const Limits& limits);

}  // namespace codops::ops::dev
