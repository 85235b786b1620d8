#pragma once
// What a custom archive says of the database itself (ALTER DATABASE … SET, ALTER ROLE … IN DATABASE … SET, its privileges and limit),
// which neither pg_restore without --create nor a swap by renames brings to a database that is new.
#include <string>
#include <string_view>
#include <vector>

#include "lib/backup/custom_archive.hpp"

namespace codops::backup {

// Whether the archive's entry is about the database, so that its definition is worth keeping.
bool about_database(std::string_view description, std::string_view tag);

// One statement each, for a database of that name. Left out: that it refuses writes of everybody, which a restore may have set for a moment; with
// `no_privileges`, who may do what.
std::vector<std::string> statements_about_database(const ArchiveHead& head, std::string_view name, bool no_privileges);
// Its first words, without a value, which may be a secret.
std::string statement_kind(std::string_view statement);

}  // namespace codops::backup
