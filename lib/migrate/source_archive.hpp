#pragma once
// Migration files out of an image: the new version's own.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/migrate/source.hpp"

namespace codops::migrate {

// Of the tar archive of a migrations folder, whose entries all begin with the folder's own name ("migrations/1_a/…").
std::vector<File> read_archive(std::string_view tar);

// Of the archive of one file; nullopt: it is something else.
std::optional<std::string> archived_file(std::string_view tar);

// Where it leads, when the folder is a symbolic link: that is all that its archive has.
std::optional<std::string> archive_link(std::string_view tar);

}  // namespace codops::migrate
