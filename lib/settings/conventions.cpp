// What the seed's layout says without a word in codops.yaml.
#include <array>

#include "lib/settings/development_compose.hpp"
#include "lib/settings/layers.hpp"

namespace codops::settings {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

namespace {

// docker-compose.prod.yml for all but development; then the names that compose itself looks for, in its order.
std::optional<std::string> find_compose_file(const fs::path& directory, bool development) {
  constexpr std::array<std::string_view, 4> names{"compose.yaml", "compose.yml", "docker-compose.yml",
                                                  "docker-compose.yaml"};
  if (!development && is_there(directory / "docker-compose.prod.yml")) return "docker-compose.prod.yml";
  for (const auto name : names) {
    if (is_there(directory / name)) return std::string{name};
  }
  if (auto own = development ? development_compose_file(directory) : std::string{}; !own.empty()) return own;
  return std::nullopt;
}

void found(Values& values, std::string path, std::string word, bool is_list, std::string why) {
  values.set(std::move(path), {{std::move(word)}, is_list, {Origin::Kind::convention, std::move(why), 0, 0}});
}

}  // namespace

Values conventions(const fs::path& directory, std::string_view environment) {
  Values values;
  const auto compose = find_compose_file(directory, environment == "development");
  if (compose) found(values, "compose_files", *compose, true, *compose + " is there");
  if (environment.empty()) return values;
  auto env_file = ".env." + std::string{environment};
  // A developer's machine has its values in .env: setup-dev makes it, and the other verbs have to find that database too.
  if (environment == "development" && !is_there(directory / env_file)) env_file = ".env";
  if (is_there(directory / env_file)) found(values, "env_files", env_file, true, env_file + " is there");
  if (environment == "production") found(values, "backup.before_deploy", "true", false, "for production");
  return values;
}

void resolve_engine(Values& values, const fs::path& directory) {
  if (values.text("engine") != "auto") return;
  const auto manifests = values.text("kubernetes.manifests");
  if (!values.list("compose_files").empty()) {
    found(values, "engine", "docker", false, "there is a compose file");
  } else if (!manifests.empty() && is_there(directory / manifests)) {
    found(values, "engine", "kubernetes", false, manifests + " is there");
  } else {
    found(values, "engine", "docker", false, "neither a compose file nor " + manifests + " is there");
  }
}

}  // namespace codops::settings
