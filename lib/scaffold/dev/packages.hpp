#pragma once
// Directories with a package.json: who installs them, with which command, and whether that was done already.
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace codops::scaffold::dev {

struct Package {
  std::string directory;   // relative to the project; empty: the project's own
  std::string name;        // "backend"; of the project's own: "root"
  std::string manager;     // "npm", "pnpm", "yarn", "bun"
  std::string manager_range;  // of `packageManager` or engines: "9.1.0", ">=9"; empty: any
  std::string node_range;  // engines.node; empty: any
  std::string lockfile;    // its name; empty: there is none
  bool yarn_berry{};
  bool brings_manager{};   // .yarnrc.yml names the program (yarnPath): any yarn hands over to it
  bool installs{};         // false: it has neither dependencies nor a lockfile, or another package's install covers it
  bool needs_nothing{};    // an install leaves nothing
  std::map<std::string, std::string> scripts;
  std::vector<std::string> dependencies;  // names, those of development included
  std::vector<std::string> members;       // of its workspace: folders, relative to the project
};

// Folders that usually hold programs, one each.
inline constexpr std::array<const char*, 3> service_parents{"services", "apps", "packages"};
// Those of `directories`, or, when that is empty, of the project itself, its workspace, one level below, and without a workspace of the
// folders in `service_parents`. Throws Failure{config}.
std::vector<Package> find_packages(const std::filesystem::path& project, const std::vector<std::string>& directories);

// The node version that .nvmrc, .node-version or .tool-versions of the project asks for, as a range; empty: none.
struct NodePin {
  std::string range, file;
};
NodePin node_pin(const std::filesystem::path& project);

// Empty: there is none (yet: an install may make it).
std::string lockfile_in(const std::filesystem::path& folder);
std::vector<std::string> install_command(const Package& package);
// Of everything that decides what is installed: lockfile, package.json, manager, node's major version.
std::string install_inputs(const std::filesystem::path& project, const Package& package, int node_major);
// Is node_modules what the lockfile says, but for linked packages, by the record that npm writes at the end of an install? Only
// npm's can be told; nullopt: can't be told.
std::optional<bool> is_installed(const std::filesystem::path& project, const Package& package);
// What tells one finished install from another, cheaply: the record's size and time, how many of the direct dependencies are there, and
// how many entries node_modules has. Empty: there is no finished install.
std::string install_mark(const std::filesystem::path& project, const Package& package);
// Is what is there now that install, with nothing of it gone? More entries (a link of the developer's) are no loss.
bool is_whole(std::string_view mark_then, std::string_view mark_now);

}  // namespace codops::scaffold::dev
