#pragma once
// What a verb gets. cli/services.cpp, the composition root, makes the real objects on first use; a test passes a fake.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/reporter.hpp"
#include "lib/settings/settings.hpp"

namespace codops::commands {

enum class Output { text, json };
enum class Progress { automatic, tty, plain, json, none };
enum class Color { automatic, always, never };

// The options that every verb has; a verb never declares one of these names itself.
struct GlobalOptions {
  std::string config;             // --config; empty: codops.yaml of the project, if it has one
  std::string project_dir;        // --project-dir; empty: found from the current directory upward
  Output output{Output::text};
  std::string format{"text"};     // "text", "json", or one that the verb declared with Parameters::formats
  Progress progress{Progress::automatic};
  Color color{Color::automatic};
  std::optional<Milliseconds> timeout;
  std::vector<std::string> set;   // --set key=value
  bool yes{};
  bool dry_run{};
  int verbosity{};                // how many -v
  unsigned caller_umask{022};     // codops runs with 077; what is made for the user (hooks, npm, init) wants this one
  std::uint64_t caller_core{0};   // the caller's soft limit of a core file, for what codops becomes: its own is 0
};

struct Terminal {
  bool in{}, out{}, err{};  // whether standard input, output, error is a terminal
  std::size_t width{100};   // columns for results: the terminal's, at most 100; 100 when out is none
  bool color{};             // whether results may be coloured; never with --output json
};

class Services {
 public:
  virtual ~Services() = default;

  virtual const GlobalOptions& options() const = 0;
  // The caller's --timeout and Ctrl-C. Every call that may wait gets these, or less by within().
  virtual Limits limits() const = 0;
  virtual Reporter& reporter() = 0;
  virtual const Clock& clock() const = 0;
  virtual const Terminal& terminal() const = 0;
  // A variable of codops' own environment; nullopt when it isn't set.
  virtual std::optional<std::string> variable(std::string_view name) const = 0;

  // Both load the settings on first use and throw Failure{config} with every problem at once.
  virtual const settings::Project& project() = 0;
  // An unknown name: Failure{config} with the nearest and the known names.
  virtual settings::Environment environment(std::string_view name) = 0;
  // Where settings come from, not yet loaded: for those who ask about the settings themselves.
  virtual const settings::Sources& settings_sources() = 0;

  // Asks on the terminal, "[y/N]"; true with --yes. Neither a terminal nor --yes: Failure{usage}.
  virtual bool confirm(const std::string& question) = 0;
  // Streams to standard output at once (logs, exec); false: nobody reads it any more, so stop. Throws Failure when
  // it can't be written (a full disk). A verb with a result returns it in Result instead.
  virtual bool write(std::string_view text) = 0;
};

}  // namespace codops::commands
