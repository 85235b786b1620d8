#include "lib/compose/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/compose/document.hpp"
#include "lib/compose/environment.hpp"
#include "lib/compose/loader.hpp"
#include "lib/compose/normalise.hpp"
#include "lib/compose/read.hpp"
#include "lib/compose/scalars.hpp"

namespace codops::compose {

namespace fs = std::filesystem;

namespace {

std::string value_in(const Variables& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string{} : found->second;
}

Texts split(std::string_view text, std::string_view separator) {
  Texts parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + separator.size(), text.size()));
  }
  return parts;
}

// The first standard name in `folder` or the nearest folder above, with its override.
Texts standard_files(fs::path folder) {
  static constexpr auto names =
      std::to_array<std::string_view>({"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"});
  static constexpr auto overrides = std::to_array<std::string_view>(
      {"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"});
  std::error_code error;
  for (;; folder = folder.parent_path()) {
    for (const auto name : names) {
      if (!fs::is_regular_file(folder / name, error)) continue;
      Texts found{(folder / name).string()};
      for (const auto other : overrides) {
        if (!fs::is_regular_file(folder / other, error)) continue;
        found.push_back((folder / other).string());
        break;
      }
      return found;
    }
    if (folder == folder.parent_path()) return {};
  }
}

struct Found {
  Texts files;
  std::string base;
};

std::string absolute(const std::string& path) {
  auto whole = fs::absolute(path).lexically_normal().string();
  while (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  return whole;
}

Found find_files(const LoadOptions& options) {
  Found found;
  const auto start = absolute(options.project_dir.empty() ? "." : options.project_dir);
  found.files = options.files;
  if (found.files.empty()) {
    std::vector<std::string> ignored;
    const auto variables = project_environment(options, start, ignored).values;
    auto separator = value_in(variables, "COMPOSE_PATH_SEPARATOR");
    found.files = split(value_in(variables, "COMPOSE_FILE"), separator.empty() ? ":" : separator);
  }
  if (found.files.empty()) found.files = standard_files(start);
  if (found.files.empty())
    throw Failure{Exit::config, fmt::format("no compose file in \"{}\" nor above", start), "name one with -f FILE"};
  for (auto& file : found.files) file = absolute(file);
  found.base = options.project_dir.empty() ? fs::path{found.files.front()}.parent_path().string() : start;
  return found;
}

std::string project_name(const LoadOptions& options, const Variables& variables, Loader& loader, const Found& found) {
  const auto checked = [](const std::string& name) {
    if (name != normal_project_name(name))
      throw Failure{Exit::config, fmt::format("the project's name \"{}\" is not valid", name),
                    fmt::format("write {}", normal_project_name(name))};
    return name;
  };
  if (!options.project_name.empty()) return checked(options.project_name);
  if (const auto name = value_in(variables, "COMPOSE_PROJECT_NAME"); !name.empty()) return checked(name);
  auto name = normal_project_name(loader.name_in(found.files, variables));
  if (name.empty()) name = normal_project_name(fs::path{found.base}.filename().string());
  if (name.empty()) throw Failure{Exit::config, "the project has no name", "add name: NAME to the compose file"};
  return name;
}

}  // namespace

std::string normal_project_name(std::string_view name) {
  std::string normal;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (letter || ((c == '-' || c == '_') && !normal.empty())) normal += c;
  }
  return normal;
}

Project load(const LoadOptions& options) {
  text::Problems problems;
  Project project;
  const auto found = find_files(options);
  project.files = found.files;
  project.working_dir = found.base;
  auto environment = project_environment(options, found.base, project.warnings);
  auto& variables = environment.values;
  project.env_files = environment.files;
  project.overridden = environment.overridden;

  Loader loader{problems, project.warnings, value_in(options.environment, "HOME")};
  project.name = project_name(options, variables, loader, found);
  variables["COMPOSE_PROJECT_NAME"] = project.name;

  auto root = loader.files(found.files, found.base, variables);
  if (root.is_null() || root.entries.empty())
    throw Failure{Exit::config, fmt::format("the compose file \"{}\" is empty", shown_path(found.files.front()))};

  Normalising with{project.name, found.base, options.profiles, variables, problems, project.warnings,
                   project.disabled, options.images, options.files_to_be};
  for (auto& profile : split(value_in(variables, "COMPOSE_PROFILES"), ",")) with.profiles.push_back(std::move(profile));
  for (const auto& [name, image] : options.images) {
    const auto* services = root.find("services");
    if (!services || !services->find(name))
      problems.add({}, fmt::format("images.{} names a service that the compose file does not have", name));
  }
  normalise(root, with);
  if (problems.empty()) check(root, project.disabled, problems);
  finish_resources(root, with);
  problems.throw_if_any();

  project.document = std::make_shared<const nlohmann::json>(document_of(root));
  read_model(*project.document, project);
  project.environment = variables;
  project.used = loader.used();
  return project;
}

}  // namespace codops::compose
