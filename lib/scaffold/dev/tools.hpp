#pragma once
// The programs that a checkout needs, which versions, and how to get those that are missing.
#include <functional>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/scaffold/dev/ledger.hpp"
#include "lib/scaffold/dev/packages.hpp"

namespace codops::scaffold::dev {

struct ToolWish {
  std::string name;                  // "node"
  struct Demand {
    std::string range, by;           // ">=18", "backend/package.json"
  };
  std::vector<Demand> demands;       // empty: any version
};

// Pure. node and each package manager, with what every package and `pin` demand.
std::vector<ToolWish> tool_wishes(const std::vector<Package>& packages, const NodePin& pin);

struct Tool {
  std::string name;
  std::string path;     // empty: not installed
  std::string version;  // "20.11.1"; empty: it didn't say
  bool switches{};      // corepack's, or pnpm from 10 on: runs whichever version packageManager names
};
// Looks it up and asks for its version; answers of earlier runs are kept in the ledger by the program's path, size and time.
Tool find_tool(const std::string& name, const std::filesystem::path& project, Ledger& ledger, const Limits& limits);

// Empty: it fits. Otherwise what is wrong; `hint` gets the command to type. A lockfile is of one major of its manager: of a version that
// packageManager names to the last digit ("pnpm@9.1.0") only the major has to fit.
std::string judge(const ToolWish& wish, const Tool& tool, std::string& hint);
// It fits by its major alone: both versions, for a note; `hint` as above. Empty: it is the one that is named, or none is.
std::string differs_from_named(const ToolWish& wish, const Tool& tool, std::string& hint);
// "apt-get install postgresql redis-server" on this distribution. `what`: "postgresql", "redis".
std::string package_hint(const std::vector<std::string>& what);

}  // namespace codops::scaffold::dev
