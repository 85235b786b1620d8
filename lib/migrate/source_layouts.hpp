#pragma once
// One reader for each layout: does a file have its shape, and what a list of files means. Pure.
#include "lib/migrate/source.hpp"

namespace codops::migrate {

// Folders with migration.sql (and down.sql, an addition of codops that Prisma ignores) beside migration_lock.toml.
bool fits_prisma(const File& file);
Source read_prisma(const std::vector<File>& files);

// "20240101_x.sql" with sections "-- migrate:up [transaction:false]" and "-- migrate:down".
bool fits_dbmate(const File& file);
Source read_dbmate(const std::vector<File>& files);

// "1_x.up.sql" and "1_x.down.sql".
bool fits_golang_migrate(const File& file);
Source read_golang_migrate(const std::vector<File>& files);

// "V1_2__x.sql", "R__x.sql", "U1_2__x.sql".
bool fits_flyway(const File& file);
Source read_flyway(const std::vector<File>& files);

}  // namespace codops::migrate
