#pragma once
// A database to check, which takes libpq to understand.
#include <optional>
#include <string_view>

#include "lib/health/check.hpp"
#include "lib/io/postgres.hpp"

namespace codops::health {

// nullopt: this machine has no libpq. `instead` then answers "unknown" and why, so that one check is lost and not the run.
// Throws what io::postgres::parse_target() throws for a text that is none.
std::optional<io::postgres::Target> postgres_target(std::string_view text, std::string_view name, Check* instead = nullptr);

// An application's database may be another: "mysql://…", Prisma's "file:./dev.db".
bool is_of_another_database(std::string_view url);

}  // namespace codops::health
