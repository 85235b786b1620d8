#pragma once
// Puts a planned .env file in its place: whole or not at all, never over somebody else's change, never through a link that
// leaves the project.
#include <filesystem>
#include <optional>
#include <string>

#include "lib/scaffold/dev/env_plan.hpp"

namespace codops::scaffold::dev {

// Why the file can't be changed (a link that leaves the project, read-only), and what to do; nullopt: it can. Reads only.
struct Unwritable {
  std::string why, hint;
};
std::optional<Unwritable> why_not_writable(const std::filesystem::path& project, const EnvFile& file);

// Mode and owner of a file that is there are kept; a new one is 0600 and its folder's owner's. A copy of what is changed
// (not of what only grows) goes to `dev_folder`/replaced first. Throws Failure{failed} and leaves the file as it was.
void write_env(const std::filesystem::path& project, const EnvFile& file, const std::filesystem::path& dev_folder);

}  // namespace codops::scaffold::dev
