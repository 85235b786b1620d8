#pragma once
// Where projects keep their migrations.
#include <array>

namespace codops::migrate {

// Of the whole project, the one that counts first.
inline constexpr std::array<const char*, 9> usual_folders{"prisma/migrations", "backend/prisma/migrations", "server/prisma/migrations", "api/prisma/migrations",
                                                          "db/migrations",     "migrations",                "backend/migrations",       "db/migration",
                                                          "src/main/resources/db/migration"};
// Of one program, below its own folder: a longer name stands before those that it ends with.
inline constexpr std::array<const char*, 5> folders_of_a_program{"src/main/resources/db/migration", "prisma/migrations", "db/migrations", "db/migration", "migrations"};

}  // namespace codops::migrate
