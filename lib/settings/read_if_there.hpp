#pragma once
// Files of the project.
#include <filesystem>
#include <optional>
#include <string>

namespace codops::settings {

// nullopt: there is none. One that can't be read is wrong like one whose text is: Failure{config}.
std::optional<std::string> read_if_there(const std::filesystem::path& file);

}  // namespace codops::settings
