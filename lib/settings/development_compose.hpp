#pragma once
// The compose file of a project that has one for development beside, or instead of, those that docker compose itself finds.
#include <filesystem>
#include <string>

namespace codops::settings {

// The compose file of a project that has one for development only ("docker-compose.dev.yml"), and none that docker compose itself would
// find; empty: there is none.
std::string development_compose_file(const std::filesystem::path& directory);
// The same, whatever else is there.
std::string named_for_development(const std::filesystem::path& directory);

}  // namespace codops::settings
