#pragma once
// A verb: typed arguments in, one library call, a result out. cli/ turns what a verb declares into CLI11 options;
// adding a verb is adding a file and a row in table.cpp.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/failure.hpp"

namespace codops::commands {

class Services;

// Where a verb says what it takes. References stay valid until run() returns.
class Parameters {
 public:
  virtual ~Parameters() = default;
  virtual void positional(std::string_view name, std::string& into, std::string_view help, bool required = true) = 0;
  virtual void positionals(std::string_view name, std::vector<std::string>& into, std::string_view help,
                           bool required = false) = 0;
  // `names`: "--to" or "-n,--tail"; `value`: what the help shows for the value, "VERSION|N".
  virtual void option(std::string_view names, std::string_view value, std::optional<std::string>& into,
                      std::string_view help) = 0;
  virtual void options(std::string_view names, std::string_view value, std::vector<std::string>& into,
                       std::string_view help) = 0;
  virtual void number(std::string_view names, std::string_view value, std::optional<std::int64_t>& into,
                      std::string_view help) = 0;
  virtual void duration(std::string_view names, std::optional<Milliseconds>& into, std::string_view help) = 0;
  virtual void choice(std::string_view names, std::vector<std::string> choices, std::optional<std::string>& into,
                      std::string_view help) = 0;
  virtual void flag(std::string_view names, bool& into, std::string_view help) = 0;
  // What --output takes beside text and json; the chosen one is GlobalOptions::format.
  virtual void formats(std::vector<std::string> names) = 0;
  // Everything after "--".
  virtual void rest(std::string_view name, std::vector<std::string>& into, std::string_view help) = 0;
};

struct Result {
  Exit exit{Exit::ok};
  std::string text;  // for people, on stdout; ends with a newline or is empty
  std::string json;  // the one document of --output json; empty: {"exit": N}
  bool changed{};    // something was done, and `exit` stands whether or not this can be shown
};

class Command {
 public:
  virtual ~Command() = default;
  virtual void declare(Parameters& parameters) = 0;
  virtual Result run(Services& services) = 0;
};

struct Example {
  std::string_view command;  // without the leading "codops "
  std::string_view meaning;
};

struct Verb {
  std::string_view name;  // "deploy", or "backup list" for a sub-verb
  std::string_view group;  // heading in the help: "Releases", "Database", …; empty: not listed there
  std::string_view summary;
  std::vector<Example> examples;
  std::unique_ptr<Command> (*make)();
  // Of a verb that changes something and can't say beforehand what it would be: --dry-run is refused, not passed over.
  bool no_dry_run{};
  std::vector<Example> variables{};  // of the environment, that it looks at; "command" is the name
};

template <typename T>
std::unique_ptr<Command> make_command() {
  return std::make_unique<T>();
}

// The command table, in the order of the help: groups in the order of their first verb. A sub-verb follows its verb;
// the verb itself may be absent ("config" is only "config show", "config check", …).
const std::vector<Verb>& verbs();

}  // namespace codops::commands
