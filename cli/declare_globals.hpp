#pragma once
// The options that every verb has: one list for the parser, the help and the completions.
#include <optional>
#include <string>

#include "commands/declaration.hpp"
#include "commands/services.hpp"

namespace codops::cli {

struct GlobalWords {
  std::optional<std::string> config, project_dir, output, progress, color;
  std::optional<Milliseconds> timeout;
  std::vector<std::string> set;
  bool yes{}, dry_run{}, help{}, version{};
  int verbosity{};
};

void declare_globals(commands::Declaration& declaration, GlobalWords& words);

// Checked; `extra_formats` are those of the verb.
commands::GlobalOptions to_options(const GlobalWords& words, const std::vector<std::string>& extra_formats);

}  // namespace codops::cli
