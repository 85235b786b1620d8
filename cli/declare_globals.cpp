#include "cli/declare_globals.hpp"

namespace codops::cli {

using commands::Color;
using commands::GlobalOptions;
using commands::Output;
using commands::Progress;

void declare_globals(commands::Declaration& declaration, GlobalWords& words) {
  declaration.option("--config", "FILE", words.config, "settings; codops.yaml of the project if not given");
  declaration.option("-C,--project-dir", "DIR", words.project_dir,
                     "the project; if not given, found from the current directory upward");
  declaration.options("--set", "KEY=VALUE", words.set, "a setting, over codops.yaml; may be repeated");
  declaration.option("-o,--output", "text|json", words.output, "form of the result");
  declaration.choice("--progress", {"auto", "tty", "plain", "json", "none"}, words.progress,
                     "form of what is told meanwhile");
  declaration.choice("--color", {"auto", "always", "never"}, words.color, "NO_COLOR is respected");
  declaration.duration("--timeout", words.timeout, "ends the command, undone, with exit 124 after this time");
  declaration.flag("-y,--yes", words.yes, "answers questions with yes");
  declaration.flag("--dry-run", words.dry_run, "prints the plan, changes nothing");
  declaration.count("-v,--verbose", words.verbosity, "tells more; -vv yet more");
  declaration.flag("-h,--help", words.help, "this help");
  declaration.flag("--version", words.version, "the version");
}

GlobalOptions to_options(const GlobalWords& words, const std::vector<std::string>& extra_formats) {
  GlobalOptions options;
  options.config = words.config.value_or("");
  options.project_dir = words.project_dir.value_or("");
  options.set = words.set;
  options.timeout = words.timeout;
  options.yes = words.yes;
  options.dry_run = words.dry_run;
  options.verbosity = words.verbosity;

  std::vector<std::string> formats{"text", "json"};
  formats.insert(formats.end(), extra_formats.begin(), extra_formats.end());
  options.format = words.output.value_or("text");
  commands::check_choice("--output", options.format, formats);
  options.output = options.format == "json" ? Output::json : Output::text;

  const auto progress = words.progress.value_or("auto");
  options.progress = progress == "tty"     ? Progress::tty
                     : progress == "plain" ? Progress::plain
                     : progress == "json"  ? Progress::json
                     : progress == "none"  ? Progress::none
                                           : Progress::automatic;
  const auto color = words.color.value_or("auto");
  options.color = color == "always" ? Color::always : color == "never" ? Color::never : Color::automatic;
  return options;
}

}  // namespace codops::cli
