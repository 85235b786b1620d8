#pragma once
// From words to a verb with its arguments: the CLI11 tree, built from the command table. Only the chosen verb is made.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/declare_globals.hpp"
#include "commands/command.hpp"
#include "commands/declaration.hpp"

namespace codops::cli {

struct Invocation {
  std::string path;                        // "backup list"; "backup" where only sub-verbs exist; empty: none was named
  const commands::Verb* verb{};            // null: `path` is no verb of its own
  std::unique_ptr<commands::Command> command;
  commands::Declaration declaration;       // what `command` takes
  commands::GlobalOptions options;
  bool help{}, version{};
};

// `arguments` without the program's name. Throws Failure{usage}, with the nearest verb or option as its hint.
Invocation parse(const std::vector<std::string>& arguments, const std::vector<commands::Verb>& verbs);

}  // namespace codops::cli
