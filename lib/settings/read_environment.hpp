#pragma once
// From merged, complete values to the typed Environment; can't fail.
#include "lib/settings/environment.hpp"
#include "lib/settings/settings.hpp"
#include "lib/settings/values.hpp"

namespace codops::settings {

Environment read_environment(std::string name, const std::filesystem::path& directory, const Values& values);

// What a type can't say: names that belong together, ranges, forms of an address.
std::vector<Problem> check_environment(const Values& values);

}  // namespace codops::settings
