#pragma once
// The files of a new, empty migration.
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/migrate/source.hpp"

namespace codops::migrate {

// `name` becomes lower case words joined by '_'. Pure; Failure{usage} when nothing is left of it.
std::vector<File> new_migration(Layout layout, const Source& existing, std::string_view name, WallTime now);

}  // namespace codops::migrate
