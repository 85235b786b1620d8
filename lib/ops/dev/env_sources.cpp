// Where a checkout has .env files and examples of them.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/migrate/folders.hpp"
#include "lib/ops/dev/workspace.hpp"

namespace codops::ops::dev {
namespace {

namespace fs = std::filesystem;
using namespace scaffold::dev;

// What a file NAME is made from, in this order.
constexpr std::array<std::string_view, 4> example_endings{".example", ".sample", ".template", ".dist"};
// Files that mean a developer's machine; .env.production and its like are nobody's to make here.
constexpr std::array<std::string_view, 4> env_names{".env", ".env.local", ".env.development", ".env.development.local"};

// A secrets manager may offer .env as a pipe: reading it would wait for whoever writes, for ever if nobody does.
std::optional<std::string> read_env(const fs::path& project, const std::string& name) {
  std::error_code error;
  const auto status = fs::status(project / name, error);
  if (!error && fs::exists(status) && !fs::is_regular_file(status)) {
    throw Failure{Exit::config, fmt::format("\"{}\" is {}, and setup-dev reads plain files only", name, fs::is_directory(status) ? "a folder" : "a pipe or device"), "put a file in its place, or move it away"};
  }
  try {
    return io::read_file_if_there(project / name);
  } catch (const Failure&) {
    struct stat found {};
    if (::access((project / name).c_str(), R_OK) == 0 || ::stat((project / name).c_str(), &found) != 0) throw;
    const bool own = found.st_uid == ::geteuid();
    throw Failure{Exit::config, fmt::format("\"{}\" can't be read: it is user \"{}\"'s, mode {:03o}, and this is user \"{}\"; nothing was changed", name, user_name(found.st_uid), found.st_mode & 0777U, user_name(::geteuid())),
                  own ? fmt::format("chmod u+rw \"{}\"", name) : fmt::format("sudo chown {} \"{}\"", user_name(::geteuid()), name)};
  }
}

void find_env(const fs::path& project, const std::string& folder, std::vector<EnvSource>& sources) {
  for (const auto name : env_names) {
    EnvSource source;
    source.path = folder.empty() ? std::string{name} : fmt::format("{}/{}", folder, name);
    source.text = read_env(project, source.path);
    for (const auto ending : example_endings) {
      const auto example = source.path + std::string{ending};
      auto text = read_env(project, example);
      if (!text) continue;
      source.example = example;
      source.example_text = std::move(*text);
      break;
    }
    if (source.text || !source.example.empty()) sources.push_back(std::move(source));
  }
}

// Where examples are somebody's to read, or were made by a tool.
constexpr std::array<std::string_view, 19> no_services{"node_modules", "vendor", "dist", "build", "out", "target", "coverage", "tmp", "temp", "test", "tests", "fixtures", "docs", "doc",
                                                       "example", "examples", "template", "templates", "samples"};

std::vector<std::string> folders_in(const fs::path& project, const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error, hidden;
  for (auto entry = fs::directory_iterator{project / folder, error}; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (name.starts_with('.') || std::find(no_services.begin(), no_services.end(), name) != no_services.end()) continue;
    if (entry->is_directory(hidden) && !entry->is_symlink(hidden)) names.push_back(folder.empty() ? name : folder + "/" + name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Programs in other languages, and such as no workspace names: by an example (services/api/.env.example), or by a .env beside migrations.
std::vector<std::string> folders_with_env(const fs::path& project) {
  std::vector<std::string> found;
  for (auto& folder : program_folders(project)) {
    std::error_code error;
    if (fs::exists(project / folder / "package.json", error)) continue;  // find_packages() has it, or a workspace leaves it out
    const bool has_example = std::any_of(env_names.begin(), env_names.end(), [&](std::string_view name) {
      return std::any_of(example_endings.begin(), example_endings.end(), [&](std::string_view ending) { return fs::is_regular_file(project / folder / (std::string{name} + std::string{ending}), error); });
    });
    const auto has = [&](const auto& names) { return std::any_of(names.begin(), names.end(), [&](const auto& name) { return fs::exists(project / folder / name, error); }); };
    if (has_example || (has(migrate::folders_of_a_program) && has(env_names))) found.push_back(std::move(folder));
  }
  return found;
}

}  // namespace

std::vector<std::string> program_folders(const fs::path& project) {
  auto folders = folders_in(project, "");
  for (const auto* parent : service_parents) {
    for (auto& inner : folders_in(project, parent)) folders.push_back(std::move(inner));
  }
  return folders;
}

std::vector<EnvSource> find_env_sources(const fs::path& project, const std::vector<Package>& packages, bool folders_too) {
  std::vector<EnvSource> sources;
  std::set<std::string> folders;
  find_env(project, "", sources);
  for (const auto& package : packages) {
    if (!package.directory.empty()) folders.insert(package.directory);
  }
  if (folders_too) {
    for (auto& folder : folders_with_env(project)) folders.insert(std::move(folder));
  }
  for (const auto& folder : folders) find_env(project, folder, sources);
  const auto root = fs::weakly_canonical(project);
  // Two names of one file.
  std::map<std::pair<dev_t, ino_t>, std::string> first_names;
  for (const auto& source : sources) {
    struct stat status {};
    if (source.text && ::lstat((project / source.path).c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 1) first_names.emplace(std::pair{status.st_dev, status.st_ino}, source.path);
  }
  return merged_links(std::move(sources), [&](const std::string& path) {
    std::error_code error;
    struct stat status {};
    if (::lstat((project / path).c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      const auto known = first_names.find({status.st_dev, status.st_ino});
      return known == first_names.end() ? path : known->second;
    }
    const auto target = fs::read_symlink(project / path, error);
    if (error) return path;
    // Not canonical(): what it leads to may be made by this very run.
    const auto behind = (project / path).parent_path() / target;
    return (fs::weakly_canonical(behind.parent_path(), error) / behind.filename()).lexically_relative(root).string();
  });
}

void add_command_folders(const fs::path& project, const std::vector<settings::DevCommand>& commands, std::vector<EnvSource>& sources) {
  for (const auto& command : commands) {
    std::vector<EnvSource> found;
    if (!command.directory.empty() && command.directory != ".") find_env(project, command.directory, found);
    for (auto& source : found) {
      const bool known = std::any_of(sources.begin(), sources.end(), [&](const EnvSource& one) { return one.path == source.path || std::find(one.links.begin(), one.links.end(), source.path) != one.links.end(); });
      if (!source.text || known) continue;
      source.example.clear();
      source.example_text.clear();
      sources.push_back(std::move(source));
    }
  }
}

}  // namespace codops::ops::dev
