// What the seed's layout says without a word in codops.yaml.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/settings/development_compose.hpp"
#include "lib/settings/layers.hpp"
#include "lib/text/dotenv.hpp"

namespace codops::settings {

namespace fs = std::filesystem;

constexpr const char* compose_file = "COMPOSE_FILE";
constexpr const char* compose_separator = "COMPOSE_PATH_SEPARATOR";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

namespace {

// docker-compose.prod.yml for all but development; then the names that compose itself looks for, in its order, with its override.
std::vector<std::string> find_compose_files(const fs::path& directory, bool development) {
  constexpr std::array<std::string_view, 4> names{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"};
  constexpr std::array<std::string_view, 4> overrides{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"};
  const auto there = [&](std::string_view name) { return is_there(directory / name); };
  if (!development && there("docker-compose.prod.yml")) return {"docker-compose.prod.yml"};
  if (const auto name = std::find_if(names.begin(), names.end(), there); name != names.end()) {
    std::vector<std::string> files{std::string{*name}};
    if (const auto other = std::find_if(overrides.begin(), overrides.end(), there); other != overrides.end()) files.emplace_back(*other);
    return files;
  }
  if (auto own = development ? development_compose_file(directory) : std::string{}; !own.empty()) return {own};
  return {};
}

void found(Values& values, std::string path, std::vector<std::string> words, bool is_list, std::string why) {
  values.set(std::move(path), {std::move(words), is_list, {Origin::Kind::convention, std::move(why), 0, 0}});
}

// The last file that has it; one that can't be read is told by whoever needs its values.
std::string variable_in(const std::vector<std::string>& files, const fs::path& directory, std::string_view wanted) {
  std::string value;
  for (const auto& file : files) {
    try {
      const auto content = io::read_file_if_there(directory / file);
      if (!content) continue;
      for (const auto& assignment : text::parse_dotenv(*content, file, [](std::string_view) { return std::nullopt; })) {
        if (assignment.name == wanted && assignment.value) value = *assignment.value;
      }
    } catch (const Failure&) {
    }
  }
  return value;
}

using Variables = std::map<std::string, std::string>;

std::string shell_value(const Variables& shell, const std::string& name) {
  const auto found = shell.find(name);
  return found == shell.end() ? std::string{} : found->second;
}

std::vector<std::string> split_files(const std::string& named, std::string separator) {
  if (separator.empty()) separator = ":";
  std::vector<std::string> list;
  for (std::size_t begin = 0; begin <= named.size();) {
    const auto end = std::min(named.find(separator, begin), named.size());
    if (end > begin) list.push_back(named.substr(begin, end - begin));
    begin = end + separator.size();
  }
  return list;
}

bool is_settled(const Values& values) {
  const auto* known = values.find("compose_files");
  return known != nullptr && known->origin.kind != Origin::Kind::convention && known->origin.kind != Origin::Kind::built_in;
}

}  // namespace

Values conventions(const fs::path& directory, std::string_view environment) {
  Values values;
  if (auto files = find_compose_files(directory, environment == "development"); !files.empty()) {
    auto why = fmt::format("{} {} there", fmt::join(files, " and "), files.size() == 1 ? "is" : "are");
    found(values, "compose_files", std::move(files), true, std::move(why));
  }
  if (environment.empty()) return values;
  auto env_file = ".env." + std::string{environment};
  // A developer's machine has its values in .env: setup-dev makes it, and the other verbs have to find that database too.
  if (environment == "development" && !is_there(directory / env_file)) env_file = ".env";
  if (is_there(directory / env_file)) found(values, "env_files", {env_file}, true, env_file + " is there");
  if (environment == "production") found(values, "backup.before_deploy", {"true"}, false, "for production");
  return values;
}

void resolve_compose_files(Values& values, const fs::path& directory, const Variables& shell) {
  if (is_settled(values)) return;
  const auto follow = values.list("env_from_shell");
  if (std::find(follow.begin(), follow.end(), compose_file) != follow.end()) {
    auto list = split_files(shell_value(shell, compose_file), shell_value(shell, compose_separator));
    if (!list.empty()) return found(values, "compose_files", std::move(list), true, "COMPOSE_FILE of the shell");
  }
  auto files = values.list("env_files");
  if (files.empty()) files = {".env"};
  auto list = split_files(variable_in(files, directory, compose_file), variable_in(files, directory, compose_separator));
  if (!list.empty()) found(values, "compose_files", std::move(list), true, fmt::format("COMPOSE_FILE of {}", fmt::join(files, ", ")));
}

std::string compose_file_passed_over(const Values& values, const fs::path& directory, const Variables& shell) {
  if (is_settled(values)) return {};
  const auto place_of = [&](std::vector<std::string> files) {
    for (auto& file : files) file = (directory / file).lexically_normal().string();
    return files;
  };
  const auto named = shell_value(shell, compose_file);
  auto files = split_files(named, shell_value(shell, compose_separator));
  return files.empty() || place_of(std::move(files)) == place_of(values.list("compose_files")) ? std::string{} : named;
}

void resolve_engine(Values& values, const fs::path& directory) {
  if (values.text("engine") != "auto") return;
  const auto manifests = values.text("kubernetes.manifests");
  if (!values.list("compose_files").empty()) {
    found(values, "engine", {"docker"}, false, "there is a compose file");
  } else if (!manifests.empty() && is_there(directory / manifests)) {
    found(values, "engine", {"kubernetes"}, false, manifests + " is there");
  } else {
    found(values, "engine", {"docker"}, false, "neither a compose file nor " + manifests + " is there");
  }
}

}  // namespace codops::settings
