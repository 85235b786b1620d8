#include "cli/app.hpp"

#include <fmt/format.h>

#include <new>
#include <nlohmann/json.hpp>

#include "cli/help.hpp"
#include "cli/parse.hpp"
#include "cli/services.hpp"
#include "lib/base/secret.hpp"
#include "lib/base/units.hpp"
#include "lib/io/shown_word.hpp"
#include "lib/text/printable.hpp"

namespace codops::cli {
namespace {

using commands::Output;
using commands::Result;
using commands::Verb;

std::string variable(const Process& process, const std::string& name) {
  const auto found = process.variables.find(name);
  return found == process.variables.end() ? std::string{} : found->second;
}

Variables look_of(const Process& process) {
  const auto term = variable(process, "TERM");
  return {!variable(process, "NO_COLOR").empty(), term.empty() || term == "dumb", !variable(process, "CI").empty()};
}

bool speaks_unicode(const Process& process) {
  for (const auto* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const auto value = variable(process, name);
    if (value.empty()) continue;
    return value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  // No locale at all (cron, containers): logs are UTF-8 nevertheless.
  return true;
}

// An error in the arguments must be JSON as well where JSON was asked for, though nothing is parsed yet.
bool asks_for_json(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    if (arguments[i] == "--output=json" || arguments[i] == "-ojson") return true;
    const bool named = arguments[i] == "--output" || arguments[i] == "-o";
    if (named && i + 1 < arguments.size() && arguments[i + 1] == "json") return true;
  }
  return false;
}

// The same for their colours: how `--color` was given, wherever it stands.
commands::Color color_asked_for(const std::vector<std::string>& arguments) {
  auto color = commands::Color::automatic;
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    std::string_view value;
    if (arguments[i].starts_with("--color=")) value = std::string_view{arguments[i]}.substr(8);
    else if (arguments[i] == "--color" && i + 1 < arguments.size()) value = arguments[i + 1];
    if (value == "never") color = commands::Color::never;
    if (value == "always") color = commands::Color::always;
  }
  return color;
}

// "list" of "backup list": an environment of that name could not be told from the sub-verb.
std::vector<std::string> subverb_names(const std::vector<Verb>& verbs) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs) {
    if (const auto space = verb.name.rfind(' '); space != std::string_view::npos) {
      names.emplace_back(verb.name.substr(space + 1));
    }
  }
  return names;
}

Limits limits_of(const Process& process, const commands::GlobalOptions& options) {
  Limits limits{Deadline::never(), process.cancel};
  return options.timeout ? limits.within(*options.timeout) : limits;
}

Result run_verb(const Process& process, Invocation& invocation, const std::vector<Verb>& verbs, Stream& out,
                Stream& err) {
  auto options = invocation.options;
  if (options.dry_run && invocation.verb->no_dry_run) {
    throw Failure{Exit::usage, fmt::format("{} has no dry run; nothing was done", invocation.path), fmt::format("without --dry-run; what it does: codops help {}", invocation.path)};
  }
  options.caller_umask = process.umask;
  options.caller_core = process.core;
  const auto limits = limits_of(process, options);
  const auto given = options.timeout;
  const auto services = make_services({std::move(options), look_of(process), process.variables, subverb_names(verbs),
                                       limits, speaks_unicode(process)},
                                      out, err);
  try {
    return invocation.command->run(*services);
  } catch (Failure& failure) {
    // Whoever was being waited for when the time was over is not the reason.
    const bool said = failure.message().find("--timeout") != std::string::npos;
    if (given && failure.code() == Exit::deadline && limits.deadline.expired() && !said) {
      failure.add_context(fmt::format("the time of this command (--timeout {}) is over", format_duration(*given)));
    }
    throw;
  }
}

int finish(const Result& result, Output output, Stream& out, Stream& err) {
  const auto code = static_cast<int>(result.exit);
  try {
    if (output == Output::json) {
      out.write((result.json.empty() ? fmt::format("{{\"exit\":{}}}", code) : result.json) +
                (result.json.ends_with('\n') ? "" : "\n"));
    } else {
      out.write(result.text);
    }
  } catch (const Failure& failure) {
    // Whoever only asked has no answer now.
    if (!result.changed) throw;
    err.write(fmt::format("warning: {}; what was done is done, and the exit code says how it ended\n", failure.message()));
  }
  if (code != 0) err.write(fmt::format("exit {}\n", code));
  return code;
}

// A URL in the place of a name is quoted by whoever refuses it: not with its password.
std::string without_passwords(std::string text, const std::vector<std::string>& arguments) {
  for (const auto& argument : arguments) {
    const auto value = argument.starts_with("--") && argument.find('=') != std::string::npos ? argument.substr(argument.find('=') + 1) : argument;
    const auto shown = io::shown_word(value);
    if (shown == value) continue;
    for (auto at = text.find(value); at != std::string::npos; at = text.find(value, at + shown.size())) text.replace(at, value.size(), shown);
  }
  return text;
}

int fail(const Failure& failure, const std::vector<std::string>& arguments, bool json, bool color, Stream& out, Stream& err) {
  try {
    // Files are quoted too: a URL of theirs in the wrong place. What a hint has may be an example.
    const Failure shown{failure.code(), redact_urls_in(without_passwords(failure.message(), arguments)), without_passwords(failure.hint(), arguments)};
    err.write(failure_text(shown, color));
    if (json) out.write(failure_json(shown));
  } catch (const Failure&) {
    // Nobody can be told; the exit code remains.
  }
  return static_cast<int>(failure.code());
}

// JSON, YAML and the engines' interfaces are UTF-8: what isn't would fail somewhere on the way.
void require_utf8(const std::vector<std::string>& arguments) {
  for (const auto& argument : arguments) {
    if (!text::invalid_utf8(argument)) continue;
    throw Failure{Exit::usage, fmt::format("\"{}\" is not UTF-8", text::printable(argument, 80)), "type it in a terminal whose encoding is UTF-8; nothing was done"};
  }
}

int run_invocation(const Process& process, const std::vector<Verb>& verbs, Stream& out, Stream& err) {
  require_utf8(process.arguments);
  auto invocation = parse(process.arguments, verbs);
  if (invocation.version) {
    out.write("codops " CODOPS_VERSION "\n");
    return 0;
  }
  if (invocation.help) {
    out.write(invocation.path.empty() ? help_overview(verbs) : help_for(invocation.path, verbs));
    return 0;
  }
  if (invocation.verb == nullptr) {
    err.write(help_overview(verbs));
    return static_cast<int>(Exit::usage);
  }
  const auto result = run_verb(process, invocation, verbs, out, err);
  return finish(result, invocation.options.output, out, err);
}

}  // namespace

int run(const Process& process, const std::vector<Verb>& verbs, Stream& out, Stream& err) {
  const bool json = asks_for_json(process.arguments);
  const bool color = may_color(err.fd(), color_asked_for(process.arguments), look_of(process));
  try {
    return run_invocation(process, verbs, out, err);
  } catch (const Failure& failure) {
    return fail(failure, process.arguments, json, color, out, err);
  } catch (const std::bad_alloc&) {
    return fail({Exit::bug, "out of memory", "free some memory, or raise the limit of the container"}, {}, json, color, out, err);
  } catch (const std::exception& error) {
    return fail({Exit::bug, fmt::format("this is a bug in codops: {}", error.what()),
                 "report it with the command line and `codops --version`"},
                process.arguments, json, color, out, err);
  }
}

std::string failure_text(const Failure& failure, bool color) {
  std::string text{color ? "\x1b[31merror:\x1b[0m " : "error: "};
  for (const char c : failure.message()) {
    text += c;
    // Lines of the message stand under its first word, unless they bring their own place.
    if (c == '\n') text += "       ";
  }
  for (std::size_t at = text.find("\n         "); at != std::string::npos; at = text.find("\n         ", at + 1)) {
    text.erase(at + 1, 7);
  }
  if (text.back() != '\n') text += '\n';
  if (!failure.hint().empty()) text += fmt::format("{}{}\n", color ? "\x1b[36mhint:\x1b[0m " : "hint: ", failure.hint());
  return text + fmt::format("exit {}\n", static_cast<int>(failure.code()));
}

std::string failure_json(const Failure& failure) {
  nlohmann::ordered_json object;
  object["exit"] = static_cast<int>(failure.code());
  object["error"] = failure.message();
  if (!failure.hint().empty()) object["hint"] = failure.hint();
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace codops::cli
