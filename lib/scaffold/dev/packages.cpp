#include "lib/scaffold/dev/packages.hpp"

#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/scaffold/dev/json_fields.hpp"
#include "lib/text/yaml.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t largest_lockfile = 64U << 20U;

struct Lock {
  std::string_view file, manager;
};
constexpr std::array<Lock, 6> locks{{{"package-lock.json", "npm"},
                                     {"npm-shrinkwrap.json", "npm"},
                                     {"pnpm-lock.yaml", "pnpm"},
                                     {"yarn.lock", "yarn"},
                                     {"bun.lock", "bun"},
                                     {"bun.lockb", "bun"}}};

std::optional<Json> read_json(const fs::path& path, const std::string& shown) {
  const auto text = io::read_file_if_there(path, largest_lockfile);
  if (!text) return std::nullopt;
  auto json = Json::parse(*text, nullptr, false);
  if (!json.is_object()) throw Failure{Exit::config, fmt::format("\"{}\" is no JSON object", shown), "git diff " + shown};
  return json;
}

bool has_workspaces(const fs::path& folder, const Json& package) {
  return package.contains("workspaces") || fs::exists(folder / "pnpm-workspace.yaml");
}

void read_manager(Package& package, const Json& json) {
  const auto named = text_of(json, "packageManager");  // "pnpm@9.1.0+sha512.…"
  const auto at = named.find('@');
  if (package.manager.empty() && at != std::string::npos) package.manager = named.substr(0, at);
  if (package.manager.empty()) package.manager = "npm";
  if (at != std::string::npos && named.substr(0, at) == package.manager) {
    package.manager_range = named.substr(at + 1, named.find('+') - at - 1);
  }
  if (const auto engines = json.find("engines"); engines != json.end() && engines->is_object()) {
    package.node_range = text_of(*engines, "node");
    if (package.manager_range.empty()) package.manager_range = text_of(*engines, package.manager.c_str());
  }
}

std::optional<Package> read_package(const fs::path& project, const std::string& directory) {
  const auto folder = project / directory;
  const auto shown = directory.empty() ? std::string{"package.json"} : directory + "/package.json";
  const auto json = read_json(folder / "package.json", shown);
  if (!json) return std::nullopt;
  Package package;
  package.directory = directory;
  package.name = directory.empty() ? "root" : directory;
  package.lockfile = lockfile_in(folder);
  for (const auto& lock : locks) {
    if (lock.file == package.lockfile) package.manager = lock.manager;
  }
  if (package.manager == "yarn") {
    const auto text = io::read_file(folder / package.lockfile, largest_lockfile);
    package.yarn_berry = text.find("__metadata:") != std::string::npos;
  }
  // Before the first lockfile, too.
  if (package.manager.empty() && fs::exists(folder / "pnpm-workspace.yaml")) package.manager = "pnpm";
  read_manager(package, *json);
  package.brings_manager = package.manager == "yarn" && io::read_file_if_there(folder / ".yarnrc.yml", 1U << 20U).value_or("").find("yarnPath:") != std::string::npos;
  for (const auto* list : {"dependencies", "devDependencies", "optionalDependencies"}) {
    const auto found = json->find(list);
    if (found == json->end() || !found->is_object()) continue;
    for (const auto& [name, version] : found->items()) package.dependencies.push_back(name);
  }
  if (const auto scripts = json->find("scripts"); scripts != json->end() && scripts->is_object()) {
    for (const auto& [name, command] : scripts->items()) {
      if (command.is_string()) package.scripts[name] = command.get<std::string>();
    }
  }
  // Of a package that needs nothing an install leaves nothing: it would never look done.
  const auto peers = json->find("peerDependencies");
  package.needs_nothing = package.dependencies.empty() && (peers == json->end() || peers->empty()) && !has_workspaces(folder, *json);
  package.installs = !package.needs_nothing || !package.lockfile.empty();
  return package;
}

fs::path record_of(const fs::path& project, const Package& package) {
  const auto modules = project / package.directory / "node_modules";
  if (package.manager == "pnpm") return modules / ".modules.yaml";
  if (package.manager == "yarn" && package.yarn_berry) {
    const auto pnp = project / package.directory / ".pnp.cjs";
    return fs::exists(pnp) ? pnp : modules / ".yarn-state.yml";
  }
  if (package.manager == "yarn") return modules / ".yarn-integrity";
  if (package.manager == "bun") return modules;
  return modules / ".package-lock.json";
}

std::size_t entries_in(const fs::path& folder) {
  std::size_t count = 0;
  std::error_code error;
  for (auto entry = fs::directory_iterator{folder, error}; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (name.starts_with('@')) count += entries_in(entry->path());
    else if (!name.starts_with('.')) ++count;  // tools keep caches there under such names
  }
  return count;
}

// "packages/*", "!packages/old": of package.json (npm, yarn, bun) or pnpm-workspace.yaml.
std::vector<std::string> workspace_patterns(const fs::path& project, const Json& package) {
  std::vector<std::string> patterns;
  const auto found = package.find("workspaces");
  const auto list = found == package.end() ? Json{} : found->is_object() ? found->value("packages", Json{}) : *found;
  if (list.is_array()) {
    for (const auto& one : list) {
      if (one.is_string()) patterns.push_back(one.get<std::string>());
    }
  }
  if (const auto text = io::read_file_if_there(project / "pnpm-workspace.yaml")) {
    const auto root = text::parse_yaml(*text, "pnpm-workspace.yaml");
    if (const auto* packages = root.find("packages")) {
      for (const auto& item : packages->items) patterns.push_back(item.text);
    }
  }
  for (auto& pattern : patterns) {
    while (pattern.ends_with('/')) pattern.pop_back();
    if (pattern.starts_with("./")) pattern.erase(0, 2);
  }
  return patterns;
}

// Folders with a package.json that the patterns name, sorted. No deeper than anybody nests them: a checkout may be large.
std::vector<std::string> workspace_members(const fs::path& project, const std::vector<std::string>& patterns) {
  constexpr int deepest = 5;
  std::vector<std::string> members;
  if (patterns.empty()) return members;
  const auto matches = [](const std::string& path, const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), path.c_str(), pattern.find("**") == std::string::npos ? FNM_PATHNAME : 0) == 0;
  };
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator{project, fs::directory_options::skip_permission_denied, error}; !error && at != fs::recursive_directory_iterator{}; at.increment(error)) {
    const auto name = at->path().filename().string();
    if (!at->is_directory(error) || at->is_symlink(error)) continue;
    if (name.starts_with('.') || name == "node_modules" || at.depth() >= deepest) {
      at.disable_recursion_pending();
      continue;
    }
    const auto path = at->path().lexically_relative(project).string();
    const bool named = std::any_of(patterns.begin(), patterns.end(), [&](const std::string& one) { return !one.starts_with('!') && matches(path, one); });
    const bool left_out = std::any_of(patterns.begin(), patterns.end(), [&](const std::string& one) { return one.starts_with('!') && matches(path, one.substr(1)); });
    if (named && !left_out && fs::exists(at->path() / "package.json", error)) members.push_back(path);
  }
  std::sort(members.begin(), members.end());
  return members;
}

// The programs that npm puts beside a package: node_modules/.bin/vite. Those that others of its name took are there all the same.
bool has_programs(const fs::path& folder, const std::string& path, const Json& entry) {
  const auto bin = entry.find("bin");
  if (bin == entry.end() || !bin->is_object()) return true;
  const auto modules = path.substr(0, path.rfind("node_modules/") + std::string_view{"node_modules"}.size());
  for (const auto& [program, target] : bin->items()) {
    if (!fs::exists(fs::symlink_status(folder / modules / ".bin" / program))) return false;
  }
  return true;
}

}  // namespace

std::vector<Package> find_packages(const fs::path& project, const std::vector<std::string>& directories) {
  std::vector<Package> packages;
  if (!directories.empty()) {
    for (const auto& directory : directories) {
      const auto plain = directory == "." ? std::string{} : directory;
      auto package = read_package(project, plain);
      if (!package) throw Failure{Exit::config, fmt::format("setup_dev.directories names \"{}\", which has no package.json", directory)};
      packages.push_back(std::move(*package));
    }
    return packages;
  }
  bool covered = false;
  std::vector<std::string> members;
  if (auto own = read_package(project, "")) {
    const auto json = read_json(project / "package.json", "package.json");
    covered = has_workspaces(project, *json);
    members = workspace_members(project, workspace_patterns(project, *json));
    own->members = members;
    packages.push_back(std::move(*own));
  }
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{project, error}) {
    const auto name = entry.path().filename().string();
    if (entry.is_directory(error) && !entry.is_symlink(error) && !name.starts_with('.') && name != "node_modules") names.push_back(name);
  }
  names.insert(names.end(), members.begin(), members.end());
  // A workspace says itself which are its packages.
  for (const auto* parent : service_parents) {
    if (covered) break;
    auto entry = fs::directory_iterator{project / parent, error};
    for (; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
      const auto name = entry->path().filename().string();
      std::error_code hidden;
      if (entry->is_directory(hidden) && !entry->is_symlink(hidden) && !name.starts_with('.') && name != "node_modules") names.push_back(fmt::format("{}/{}", parent, name));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const auto& name : names) {
    auto package = read_package(project, name);
    if (!package) continue;
    if (covered && package->lockfile.empty()) package->installs = false;
    packages.push_back(std::move(*package));
  }
  return packages;
}

NodePin node_pin(const fs::path& project) {
  for (const auto* name : {".nvmrc", ".node-version", ".tool-versions"}) {
    auto text = io::read_file_if_there(project / name, 64U << 10U);
    if (!text) continue;
    std::string_view rest{*text};
    while (!rest.empty()) {
      auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      line = line.substr(0, line.find('#'));
      if (std::string_view{name} == ".tool-versions") {
        if (!line.starts_with("nodejs ")) continue;
        line.remove_prefix(7);
      }
      const auto from = line.find_first_not_of(" \tv\r");
      if (from == std::string_view::npos) continue;
      const auto to = line.find_last_not_of(" \t\r");
      // "lts/iron" and "node" name no number: nothing to compare with.
      const auto word = line.substr(from, to - from + 1);
      if (word.find_first_not_of("0123456789.") != std::string_view::npos) return {};
      return {std::string{word}, name};
    }
  }
  return {};
}

std::string lockfile_in(const fs::path& folder) {
  for (const auto& lock : locks) {
    if (fs::exists(folder / lock.file)) return std::string{lock.file};
  }
  return {};
}

std::vector<std::string> install_command(const Package& package) {
  if (package.manager == "pnpm") {
    if (package.lockfile.empty()) return {"pnpm", "install", "--prod=false"};
    return {"pnpm", "install", "--frozen-lockfile", "--prod=false"};
  }
  if (package.manager == "yarn") {
    if (package.lockfile.empty()) return {"yarn", "install"};
    return package.yarn_berry ? std::vector<std::string>{"yarn", "install", "--immutable"}
                              // Its own record would do for it, whatever has gone since.
                              : std::vector<std::string>{"yarn", "install", "--frozen-lockfile", "--production=false", "--non-interactive", "--check-files"};
  }
  if (package.manager == "bun") {
    if (package.lockfile.empty()) return {"bun", "install"};
    return {"bun", "install", "--frozen-lockfile"};
  }
  return {"npm", package.lockfile.empty() ? "install" : "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=warn"};
}

std::string install_inputs(const fs::path& project, const Package& package, int node_major) {
  const auto folder = project / package.directory;
  io::Sha256 sum;
  sum.update(fmt::format("{} {} ", package.manager, node_major));
  for (const auto& file : {std::string{"package.json"}, package.lockfile, std::string{".npmrc"}, std::string{"pnpm-workspace.yaml"}}) {
    if (file.empty()) continue;
    const auto text = io::read_file_if_there(folder / file, largest_lockfile);
    sum.update(fmt::format("{} {} ", file, text ? text->size() : 0)).update(text.value_or(""));
  }
  return sum.hex();
}

std::optional<bool> is_installed(const fs::path& project, const Package& package) {
  if (package.manager != "npm" || package.lockfile.empty()) return std::nullopt;
  const auto lock = read_json(project / package.directory / package.lockfile, package.lockfile);
  // npm's own file: one that it was killed over is torn, and means an install that did not end.
  const auto record = Json::parse(io::read_file_if_there(record_of(project, package), largest_lockfile).value_or(""), nullptr, false);
  if (!record.is_object()) return false;
  const auto wanted = lock->find("packages");
  const auto there = record.find("packages");
  if (wanted == lock->end() || there == record.end() || !wanted->is_object() || !there->is_object()) return std::nullopt;
  for (const auto& [path, entry] : wanted->items()) {
    if (path.empty() || !path.starts_with("node_modules/")) continue;
    if (flag_of(entry, "link")) {
      // A package of the workspace: where it leads is the developer's, that it is there is npm's.
      if (!fs::exists(fs::symlink_status(project / package.directory / path))) return false;
      continue;
    }
    const auto found = there->find(path);
    if (found == there->end()) {
      // Those of another platform are never there.
      if (flag_of(entry, "optional") || flag_of(entry, "devOptional") || flag_of(entry, "peer")) continue;
      return false;
    }
    if (flag_of(*found, "link")) continue;  // somebody has put a link in its place
    if (text_of(entry, "version") != text_of(*found, "version") || text_of(entry, "integrity") != text_of(*found, "integrity")) return false;
    if (!fs::exists(project / package.directory / path / "package.json")) return false;
    if (!has_programs(project / package.directory, path, entry)) return false;
  }
  for (const auto& [path, entry] : there->items()) {
    if (path.starts_with("node_modules/") && !wanted->contains(path) && !flag_of(entry, "link")) return false;
  }
  return true;
}

std::string install_mark(const fs::path& project, const Package& package) {
  struct stat status {};
  if (::stat(record_of(project, package).c_str(), &status) != 0) return {};
  // A package that was removed by hand changes no record.
  std::size_t present = 0;
  for (const auto& name : package.dependencies) {
    std::error_code error;
    present += fs::exists(project / package.directory / "node_modules" / name / "package.json", error) ? 1U : 0U;
  }
  const auto modules = project / package.directory / "node_modules";
  auto entries = entries_in(modules) + entries_in(modules / ".pnpm") + entries_in(modules / ".bin");
  for (const auto& member : package.members) entries += entries_in(project / member / "node_modules") + entries_in(project / member / "node_modules/.bin");
  return fmt::format("{} {}.{:09} {} {}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, present, entries);
}

bool is_whole(std::string_view mark_then, std::string_view mark_now) {
  const auto then = mark_then.rfind(' '), now = mark_now.rfind(' ');
  if (then == std::string_view::npos || mark_then.substr(0, then) != mark_now.substr(0, now)) return false;
  const auto number = [](std::string_view text) {
    std::size_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  return number(mark_now.substr(now + 1)) >= number(mark_then.substr(then + 1));
}

}  // namespace codops::scaffold::dev
