#pragma once
// From the command line to an exit code: parse, run the verb, show its result; the one place that catches.
#include <map>
#include <string>
#include <vector>

#include "cli/terminal.hpp"
#include "commands/command.hpp"
#include "lib/base/cancel.hpp"

namespace codops::cli {

struct Process {
  std::vector<std::string> arguments;  // without the program's name
  std::map<std::string, std::string> variables;
  unsigned umask{022};
  std::uint64_t core{0};  // the caller's soft limit of a core file
  Cancel cancel;
};

// The exit code. `verbs` is the command table.
int run(const Process& process, const std::vector<commands::Verb>& verbs, Stream& out, Stream& err);

// "error: …", continued under it; "hint: …"; "exit N".
std::string failure_text(const Failure& failure, bool color);
// {"exit": 78, "error": "…", "hint": "…"} and a newline.
std::string failure_json(const Failure& failure);

}  // namespace codops::cli
