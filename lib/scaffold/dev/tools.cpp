#include "lib/scaffold/dev/tools.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/scaffold/dev/version_range.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

std::string identity_of(const fs::path& program) {
  std::error_code error;
  const auto real = fs::canonical(program, error);
  struct stat status {};
  if (error || ::stat(real.c_str(), &status) != 0) return {};
  return fmt::format("{} {} {}.{:09}", real.string(), status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

// npm's own package.json says its version 200 ms sooner than npm does.
std::string version_beside(const fs::path& program) {
  std::error_code error;
  const auto real = fs::canonical(program, error);
  if (error) return {};
  const auto text = io::read_file_if_there(real.parent_path().parent_path() / "package.json", 1U << 20U);
  if (!text) return {};
  const auto at = text->find("\"version\"");
  if (at == std::string::npos) return {};
  const auto open = text->find('"', text->find(':', at));
  if (open == std::string::npos) return {};
  const auto version = text->substr(open + 1, text->find('"', open + 1) - open - 1);
  return parse_version(version) ? version : std::string{};
}

// Stands in for whichever version the folder that it is called in asks for.
bool is_shim(const fs::path& program) {
  const auto text = program.string();
  return text.find("/shims/") != std::string::npos || text.find("/.volta/") != std::string::npos || text.find("/.proto/") != std::string::npos;
}

std::string ask_version(const fs::path& program, const fs::path& project, const Limits& limits) {
  auto environment = io::usual_environment();
  // corepack would fetch a package manager from the network to answer.
  environment["COREPACK_ENABLE_NETWORK"] = "0";
  environment["COREPACK_ENABLE_STRICT"] = "0";
  try {
    auto said = io::capture({{program.string(), "--version"}, environment, {}, is_shim(program) ? project : fs::path{"/"}}, limits.within(Milliseconds{10'000}), 64U << 10U);
    said = said.substr(0, said.find('\n'));
    if (said.starts_with('v')) said.erase(0, 1);
    return parse_version(said) ? said : std::string{};
  } catch (const Failure& failure) {
    if (failure.code() == Exit::interrupted || failure.code() == Exit::terminated) throw;
    return {};
  }
}

std::string os_id() {
  const auto text = io::read_file_if_there("/etc/os-release", 64U << 10U).value_or("");
  std::string all;
  for (const std::string_view key : {"ID=", "ID_LIKE="}) {
    auto at = text.starts_with(key) ? 0 : text.find("\n" + std::string{key});
    if (at == std::string::npos) continue;
    if (text[at] == '\n') ++at;
    all += " " + text.substr(at + key.size(), text.find('\n', at) - at - key.size());
  }
  return all;
}

std::string node_hint(const std::vector<ToolWish::Demand>& demands) {
  int major = 0;
  for (const auto& demand : demands) {
    if (const auto version = lowest(demand.range)) major = std::max(major, (*version)[0]);
  }
  const auto wanted = major == 0 ? std::string{"--lts"} : std::to_string(major);
  const char* home = std::getenv("HOME");
  const auto has = [&](const char* folder) { return home != nullptr && fs::exists(fs::path{home} / folder); };
  if (io::find_program("fnm")) return fmt::format("fnm install {0} && fnm use {0}", wanted);
  if (io::find_program("volta")) return fmt::format("volta install node@{}", major == 0 ? "lts" : wanted);
  if (has(".nvm")) return fmt::format("nvm install {0} && nvm use {0}", wanted);
  if (major == 0) return package_hint({"nodejs", "npm"});
  return fmt::format("install Node.js {0}, for example with nvm (https://github.com/nvm-sh/nvm): nvm install {0}", wanted);
}

// "9.1.0", as packageManager has it.
bool is_exact(const ToolWish& wish, const ToolWish::Demand& demand) {
  return wish.name != "node" && demand.range.find_first_not_of("0123456789.") == std::string::npos && std::count(demand.range.begin(), demand.range.end(), '.') == 2;
}

std::string manager_hint(const ToolWish& wish) {
  std::string version, exact;
  for (const auto& demand : wish.demands) {
    if (is_exact(wish, demand)) exact = demand.range;
    if (const auto found = lowest(demand.range)) version = fmt::format("@{}", (*found)[0]);
  }
  if (!exact.empty()) {
    const auto by_npm = fmt::format("npm install --global {}@{}", wish.name, exact);
    if (wish.name == "bun") return by_npm;
    // npm's package of that name ends with yarn 1.
    if (const auto numbers = parse_version(exact); wish.name == "yarn" && numbers && (*numbers)[0] > 1) {
      return fmt::format("{}corepack enable yarn, whose yarn is then {} here", io::find_program("corepack") ? "" : "npm install --global corepack && ", exact);
    }
    return io::find_program("corepack") ? fmt::format("corepack enable {0}, whose {0} is then {1} here; or {2}", wish.name, exact, by_npm)
                                        : fmt::format("{}; or npm install --global corepack && corepack enable {}", by_npm, wish.name);
  }
  if (wish.name == "npm") return version.empty() ? package_hint({"npm"}) : "npm install --global npm" + version;
  if (io::find_program("corepack") && wish.name != "bun") return "corepack enable " + wish.name;
  return "npm install --global " + wish.name + version;
}

// How far apart the one that is there and the one that is named are: 0 equal, 1 by minor or patch, 2 by major.
int apart(const ToolWish& wish, const ToolWish::Demand& demand, const Tool& tool) {
  const auto there = parse_version(tool.version), named = parse_version(demand.range);
  if (!is_exact(wish, demand) || tool.switches || !there || !named || *there == *named) return 0;
  return (*there)[0] == (*named)[0] ? 1 : 2;
}

}  // namespace

std::vector<ToolWish> tool_wishes(const std::vector<Package>& packages, const NodePin& pin) {
  if (packages.empty()) return {};
  std::vector<ToolWish> wishes{{"node", {}}};
  if (!pin.range.empty()) wishes.front().demands.push_back({pin.range, pin.file});
  for (const auto& package : packages) {
    const auto file = package.directory.empty() ? std::string{"package.json"} : package.directory + "/package.json";
    if (!package.node_range.empty()) wishes.front().demands.push_back({package.node_range, file});
    if (!package.installs) continue;
    auto wish = std::find_if(wishes.begin(), wishes.end(), [&](const ToolWish& one) { return one.name == package.manager; });
    if (wish == wishes.end()) wish = wishes.insert(wishes.end(), {package.manager, {}});
    if (!package.manager_range.empty() && !package.brings_manager) wish->demands.push_back({package.manager_range, file});
  }
  return wishes;
}

Tool find_tool(const std::string& name, const fs::path& project, Ledger& ledger, const Limits& limits) {
  Tool tool{name, {}, {}};
  const auto program = io::find_program(name);
  if (!program) return tool;
  tool.path = program->string();
  std::error_code unreadable;
  const bool corepack = fs::canonical(*program, unreadable).string().find("/corepack/") != std::string::npos;
  const auto settle = [&](std::string version) {
    tool.version = std::move(version);
    const auto numbers = parse_version(tool.version);
    tool.switches = corepack || (name == "pnpm" && numbers && (*numbers)[0] >= 10);
    return tool;
  };
  const auto identity = is_shim(*program) ? std::string{} : identity_of(*program);
  const auto key = "tool:" + name;
  if (const auto known = ledger.find(key); known && known->inputs == identity && !identity.empty()) return settle(known->note);
  tool.version = name == "npm" ? version_beside(*program) : std::string{};
  if (tool.version.empty()) tool.version = ask_version(*program, project, limits);
  if (!tool.version.empty() && !identity.empty()) ledger.remember(key, {identity, tool.version});
  return settle(tool.version);
}

std::string judge(const ToolWish& wish, const Tool& tool, std::string& hint) {
  hint = wish.name == "node" ? node_hint(wish.demands) : manager_hint(wish);
  if (tool.path.empty()) return fmt::format("{} is not installed", wish.name);
  const auto version = parse_version(tool.version);
  for (const auto& demand : wish.demands) {
    if (!version) break;
    if (is_exact(wish, demand)) {
      if (apart(wish, demand, tool) == 2) return fmt::format("{} is {}, and {} names {}", wish.name, tool.version, demand.by, demand.range);
      continue;
    }
    const auto fits = satisfies(*version, demand.range);
    if (fits && !*fits) return fmt::format("{} is {}, and {} wants {}", wish.name, tool.version, demand.by, demand.range);
  }
  hint.clear();
  return {};
}

std::string differs_from_named(const ToolWish& wish, const Tool& tool, std::string& hint) {
  for (const auto& demand : wish.demands) {
    if (apart(wish, demand, tool) != 1) continue;
    hint = manager_hint(wish);
    return fmt::format("{} is {}, and {} names {}", wish.name, tool.version, demand.by, demand.range);
  }
  return {};
}

std::string package_hint(const std::vector<std::string>& what) {
  const auto id = os_id();
  const auto is = [&](const char* word) { return id.find(word) != std::string::npos; };
  const bool debian = is("debian") || is("ubuntu"), red_hat = is("fedora") || is("rhel"), alpine = is("alpine"), arch = is("arch");
  std::string names;
  for (const auto& name : what) {
    names += ' ';
    if (name == "postgresql") names += red_hat ? "postgresql-server" : name;
    else if (name == "redis") names += debian ? "redis-server" : name;
    else names += name;
  }
  const std::string sudo = ::geteuid() == 0 ? "" : "sudo ";
  if (debian) return sudo + "apt-get install" + names;
  if (red_hat) return sudo + "dnf install" + names;
  if (alpine) return sudo + "apk add" + names;
  if (arch) return sudo + "pacman -S" + names;
  return "install" + names;
}

}  // namespace codops::scaffold::dev
