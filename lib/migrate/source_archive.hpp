#pragma once
// Migration files out of an image: the new version's own.
#include <string_view>
#include <vector>

#include "lib/migrate/source.hpp"

namespace codops::migrate {

// Of the tar archive of a migrations folder, whose entries all begin with the folder's own name ("migrations/1_a/…").
std::vector<File> read_archive(std::string_view tar);

}  // namespace codops::migrate
