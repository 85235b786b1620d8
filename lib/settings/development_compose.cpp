#include "lib/settings/development_compose.hpp"

namespace codops::settings {

std::string named_for_development(const std::filesystem::path& directory) {
  std::error_code ignored;
  for (const auto* stem : {"compose.dev", "docker-compose.dev", "compose.development", "docker-compose.development"}) {
    for (const auto* ending : {".yaml", ".yml"}) {
      auto name = std::string{stem} + ending;
      if (std::filesystem::is_regular_file(directory / name, ignored)) return name;
    }
  }
  return {};
}

std::string development_compose_file(const std::filesystem::path& directory) {
  std::error_code ignored;
  for (const auto* usual : {"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}) {
    if (std::filesystem::exists(directory / usual, ignored)) return {};
  }
  return named_for_development(directory);
}

}  // namespace codops::settings
