// Dependencies by their lockfile's hash, code generation, the first build.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>

#include "lib/base/failure.hpp"
#include "lib/base/known_secrets.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/ops/dev/steps.hpp"
#include "lib/scaffold/dev/kept_modules.hpp"
#include "lib/scaffold/dev/linked_packages.hpp"
#include "lib/scaffold/dev/tools.hpp"
#include "lib/scaffold/dev/version_range.hpp"

namespace codops::ops::dev {
namespace {

namespace fs = std::filesystem;
using namespace scaffold::dev;

constexpr std::size_t evidence_lines = 12;

int node_major(const Context& context, const Limits& limits) {
  const auto version = parse_version(find_tool("node", context.workspace.project, context.ledger, limits).version);
  return version ? (*version)[0] : 0;
}

std::string install_key(const Package& package) { return "install:" + package.name; }

// In the ledger until an install has ended well. npm's own record can't tell: it is written, and npm ends with 0, after files that found no
// room were left out with a warning.
constexpr const char* begun = "begun";
constexpr const char* left_out = "TAR_ENTRY_ERROR";

Finding look_at_install(const Context& context, const Package& package, const Limits& limits) {
  const auto& project = context.workspace.project;
  const auto mark = install_mark(project, package);
  if (mark.empty() && package.needs_nothing) return {true, "nothing to install", {}, {}};
  if (mark.empty()) {
    if (KeptModules{context.workspace.folder, project, package}.is_aside()) return {false, "node_modules is unfinished; the one from before is kept", {}, {}};
    return {false, fs::exists(project / package.directory / "node_modules") ? "node_modules is unfinished" : "not installed yet", {}, {}};
  }
  const auto inputs = install_inputs(project, package, node_major(context, limits));
  const auto known = context.ledger.find(install_key(package));
  if (known && known->note == begun) return {false, "an install did not end well", {}, {}};
  if (known && known->inputs == inputs && is_whole(known->note, mark)) return {true, fmt::format("as {} says", package.lockfile.empty() ? "package.json" : package.lockfile), {}, {}};
  // Installed by hand: npm's own record tells whether that is what the lockfile says.
  if (const auto installed = is_installed(project, package)) {
    if (!*installed) return {false, fmt::format("node_modules is not what {} says", package.lockfile), {}, {}};
    context.ledger.remember(install_key(package), {inputs, mark});
    return {true, fmt::format("as {} says", package.lockfile), {}, {}};
  }
  if (known && known->inputs == inputs) return {false, "node_modules is not as the last install left it", {}, {}};
  return {false, known ? fmt::format("{} has changed", package.lockfile.empty() ? "package.json" : package.lockfile) : "not installed by setup-dev yet", {}, {}};
}

// The managers name the error as the system does.
bool is_unreachable(std::string_view said) {
  constexpr std::array codes{"EAI_AGAIN", "ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT", "ENOTCACHED"};
  return std::any_of(codes.begin(), codes.end(), [&](const char* code) { return said.find(code) != std::string_view::npos; });
}

// package.json and the lockfile disagree, by each manager's words, and what writes the lockfile anew. npm prints a page of usage after it.
struct Disagreement {
  const char *words, *manager, *command;
};
constexpr std::array disagreements{Disagreement{"can only install packages when your package.json and", "npm", "npm install"},
                                   Disagreement{"ERR_PNPM_OUTDATED_LOCKFILE", "pnpm", "pnpm install --no-frozen-lockfile"},
                                   Disagreement{"Your lockfile needs to be updated", "yarn", "yarn install"},
                                   Disagreement{"The lockfile would have been modified", "yarn", "yarn install --no-immutable"},
                                   Disagreement{"lockfile had changes, but lockfile is frozen", "bun", "bun install"}};

const Disagreement* disagreement_in(std::string_view said) {
  const auto found = std::find_if(disagreements.begin(), disagreements.end(), [&](const Disagreement& one) { return said.find(one.words) != std::string_view::npos; });
  return found == disagreements.end() ? nullptr : &*found;
}

bool is_reason(std::string_view line) {
  return disagreement_in(line) != nullptr || line.find("Invalid: lock file's") != std::string_view::npos || line.find(" from lock file") != std::string_view::npos;
}

// pnpm removes a node_modules that was made with other settings (a store elsewhere, another way to hoist) and then installs. It asks
// before that, unless it believes to run in CI; where nobody can answer, pnpm 9 ends with 0 and has done nothing.
constexpr const char* asks_to_remove = "will be removed and reinstalled from scratch";
constexpr const char* may_not_remove = "ABORTED_REMOVE_MODULES_DIR";

// In a workspace what is kept is the root's node_modules, which has the packages themselves; the others hold links into it.
void install_with_pnpm(const Context& context, const Package& package, std::vector<std::string> command, KeptModules& kept_modules, const Progress& progress, const Limits& limits) {
  const auto with = [&](const char* answer) {
    auto all = command;
    all.emplace_back(std::string{"--config.confirmModulesPurge="} + answer);
    return all;
  };
  try {
    run_tool(context, with("true"), package.directory, progress, limits, asks_to_remove, {{"CI", "false"}});
    return;
  } catch (const Failure& failure) {
    const std::string_view said{failure.message()};
    if (said.find(asks_to_remove) == std::string_view::npos && said.find(may_not_remove) == std::string_view::npos) throw;
  }
  progress("node_modules has to be made anew");
  if (!kept_modules.put_aside()) progress("node_modules is on another file system and can't be kept meanwhile");
  run_tool(context, with("false"), package.directory, progress, limits);
}

std::string install(const Context& context, const Package& package, const Progress& progress, const Limits& limits) {
  const auto& project = context.workspace.project;
  const auto command = install_command(package);
  const auto shown = [&](const std::string& name) { return (fs::path{package.directory} / "node_modules" / name).string(); };
  if (const auto own = checked_out_packages(project, package); !own.empty()) {
    throw Failure{Exit::failed, fmt::format("\"{}\" is a git checkout, which {} {} would remove", shown(own.front()), command[0], command[1]),
                  fmt::format("move it out of node_modules and link it ({} link PATH), or leave this step out: --skip {}", command[0], install_key(package))};
  }
  note_links(context.workspace.folder, project, package);
  KeptModules kept_modules{context.workspace.folder, project, package};
  if (kept_modules.is_aside()) {
    kept_modules.recover(is_installed(project, package).value_or(false));
    note_links(context.workspace.folder, project, package);
  }
  const auto known = context.ledger.find(install_key(package));
  // A run that is killed leaves nothing that looks installed.
  context.ledger.put(install_key(package), {{}, begun});
  // This command begins with removing what is there. yarn and bun fetch everything before they touch it; pnpm does so, or asks.
  const bool removes_first = command[0] == "npm" && command[1] == "ci";
  if (removes_first && !kept_modules.put_aside() && fs::exists(project / package.directory / "node_modules")) {
    progress("node_modules is on another file system and can't be kept meanwhile");
  }
  try {
    if (package.manager == "pnpm") install_with_pnpm(context, package, command, kept_modules, progress, limits);
    else run_tool(context, command, package.directory, progress, limits, left_out);
  } catch (Failure& failure) {
    auto said = failure.message();
    try {
      if (kept_modules.put_back()) {
        said += fmt::format("\n\"{}\" is as it was before", (fs::path{package.directory} / "node_modules").string());
        if (known) context.ledger.put(install_key(package), *known);
        else context.ledger.drop(install_key(package));
      }
      restore_links(context.workspace.folder, project, package);
    } catch (const Failure& second) {
      // What is noted or aside stays so: the next run puts it back.
      said += "\n" + second.message();
    }
    if (const auto* disagreement = disagreement_in(failure.message())) {
      const auto where = package.directory.empty() ? std::string{} : fmt::format("cd {} && ", package.directory);
      throw Failure{failure.code(), said, fmt::format("({}{}) writes {} as package.json has it, then codops setup-dev; or take back what changed one of them", where, disagreement->command, package.lockfile)};
    }
    if (!is_unreachable(failure.message())) throw Failure{failure.code(), said, failure.hint()};
    throw Failure{failure.code(), said, fmt::format("the registry can't be reached: look at the network, its proxy and \"{} config get registry\", then codops setup-dev", command[0])};
  }
  const auto links = restore_links(context.workspace.folder, project, package);
  kept_modules.let_go();
  auto locked = package;
  locked.lockfile = lockfile_in(project / package.directory);
  context.ledger.put(install_key(package), {install_inputs(project, locked, node_major(context, limits)), install_mark(project, package)});
  std::string kept;
  for (const auto& link : links) kept += fmt::format("{}{} -> {}", kept.empty() ? "; still linked: " : ", ", link.name, link.leads_to);
  return fmt::format("{} {}{}", command[0], command[1], kept);
}

bool uses_prisma(const Package& package) {
  return std::any_of(package.dependencies.begin(), package.dependencies.end(), [](const std::string& name) { return name == "prisma" || name == "@prisma/client"; });
}

std::string command_inputs(const Context& context, const settings::DevCommand& command, const Limits& limits) {
  const auto& project = context.workspace.project;
  io::Sha256 sum;
  for (const auto& word : command.run) sum.update(word).update("\n");
  for (const auto& package : context.workspace.packages) {
    if (package.directory == command.directory) sum.update(install_inputs(project, package, node_major(context, limits)));
  }
  auto files = command.inputs;
  for (const auto* schema : {"prisma/schema.prisma", "schema.prisma"}) {
    files.push_back((fs::path{command.directory} / schema).string());
    if (!command.directory.empty()) files.push_back(schema);
  }
  for (const auto& file : files) {
    const auto text = io::read_file_if_there(project / file);
    sum.update(fmt::format("{} {} ", file, text ? text->size() : 0)).update(text.value_or(""));
  }
  return sum.hex();
}

// ---- what generate and build leave: once it is gone, they run again

constexpr std::array<const char*, 8> usual_builds{"dist", "build", "out", ".next", ".output", ".nuxt", ".svelte-kit", "public/build"};

// An empty folder is what a clean-up leaves.
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error) && !(fs::is_directory(path, error) && fs::is_empty(path, error));
}

bool runs_prisma(const settings::DevCommand& command) {
  const auto has = [&](std::string_view name) { return std::any_of(command.run.begin(), command.run.end(), [&](const std::string& word) { return fs::path{word}.filename() == name; }); };
  return has("prisma") && has("generate");
}

// `output = "../src/generated"` in the generators of a schema, relative to it.
void add_schema_outputs(const fs::path& project, const fs::path& schema, std::vector<std::string>& outputs) {
  const auto text = io::read_file_if_there(project / schema, 4U << 20U).value_or("");
  for (auto at = text.find("generator "); at != std::string::npos; at = text.find("generator ", at + 1)) {
    const auto block = std::string_view{text}.substr(at, text.find('}', at) - at);
    const auto word = block.find("output");
    const auto open = word == std::string_view::npos ? word : block.find('"', word);
    if (open == std::string_view::npos || block.substr(word, open - word).find('\n') != std::string_view::npos) continue;
    const auto value = block.substr(open + 1, block.find('"', open + 1) - open - 1);
    if (!value.starts_with("env(")) outputs.push_back((schema.parent_path() / value).lexically_normal().string());
  }
}

// Beside what codops.yaml names. The stub that npm leaves in .prisma/client has no schema in it.
std::vector<std::string> usual_outputs(const Workspace& workspace, const settings::DevCommand& command) {
  std::vector<std::string> outputs;
  if (!runs_prisma(command)) return outputs;
  for (const auto& folder : {fs::path{command.directory}, fs::path{}}) {
    outputs.push_back((folder / "node_modules/.prisma/client/schema.prisma").string());
    std::error_code error;
    const auto client = fs::canonical(workspace.project / folder / "node_modules/@prisma/client", error);  // pnpm's is a link
    if (!error) outputs.push_back((client / "../../.prisma/client/schema.prisma").lexically_normal().string());
    for (const auto* schema : {"prisma/schema.prisma", "schema.prisma"}) add_schema_outputs(workspace.project, folder / schema, outputs);
  }
  return outputs;
}

// Those that are there after a run: what it does not make can't be missed. One to a line, as the ledger keeps them.
std::string made(const fs::path& project, const std::vector<std::string>& declared, const std::vector<std::string>& usual, const std::string& by) {
  std::string text;
  for (const auto& output : declared) {
    if (!is_there(project / output)) throw Failure{Exit::failed, fmt::format("{} ended with 0, and \"{}\", which codops.yaml names as its output, is not there", by, output), "correct setup_dev in codops.yaml, or the command"};
    text += output + "\n";
  }
  for (const auto& output : usual) {
    if (is_there(project / output)) text += output + "\n";
  }
  return text;
}

// The first that is gone; empty: none.
std::string gone(const fs::path& project, const std::vector<std::string>& declared, std::string_view noted) {
  for (const auto& output : declared) {
    if (!is_there(project / output)) return output;
  }
  while (!noted.empty()) {
    const auto output = noted.substr(0, noted.find('\n'));
    if (!output.empty() && !is_there(project / output)) return std::string{output};
    noted.remove_prefix(std::min(output.size() + 1, noted.size()));
  }
  return {};
}

std::string last_of(const std::deque<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += "\n  │ " + line;
  return text;
}

}  // namespace

namespace {
// A value may begin before the place where a line is cut.
constexpr std::size_t longest_line = 64U << 10U, shown_of_line = 1000;
}  // namespace

void run_tool(const Context& context, const std::vector<std::string>& argv, const std::string& directory, const Progress& progress, const Limits& limits, std::string_view fatal,
              const std::map<std::string, std::string>& more) {
  const auto folder = context.workspace.project / directory;
  io::Program program{argv, context.workspace.child_environment(directory), {}, folder};
  program.umask = context.caller_umask;
  // npm has children of its own: none of them may go on when this run dies, or be met by the next one.
  program.guarded = true;
  program.env[scaffold::dev::StartedCommands::variable] = context.commands.mark();
  program.env.emplace("NO_COLOR", "1");
  for (const auto& [name, value] : more) program.env[name] = value;
  // "./scripts/seed.sh" means the folder where it runs.
  if (!argv.empty() && argv.front().find('/') != std::string::npos && !argv.front().starts_with('/')) program.argv.front() = (folder / argv.front()).string();
  std::deque<std::string> lines, reasons;
  constexpr std::size_t most_reasons = 4;
  std::string out, err, complaint;
  // What a script prints is shown, and kept in logs of CI: without the values of the .env files.
  KnownSecrets secrets;
  for (const auto& file : context.workspace.env) {
    for (const auto& statement : file.after.statements()) {
      if (statement.value) secrets.add_variable(statement.name, *statement.value);
    }
  }
  const auto take = [&](std::string& line, std::string_view bytes) {
    for (const char c : bytes) {
      if (c != '\n' && c != '\r') {
        if (line.size() < longest_line) line += c;
        continue;
      }
      line = secrets.hide(line);
      if (line.size() > shown_of_line) line.resize(shown_of_line);
      if (line.find_first_not_of(" \t") != std::string::npos) {
        progress(line);
        if (!fatal.empty() && complaint.empty() && line.find(fatal) != std::string::npos) complaint = line;
        if (is_reason(line) && reasons.size() < most_reasons) reasons.push_back(line);
        lines.push_back(line);
        if (lines.size() > evidence_lines) lines.pop_front();
      }
      line.clear();
    }
  };
  const auto outcome = io::run(program, {{}, [&](std::string_view bytes) { take(out, bytes); }, [&](std::string_view bytes) { take(err, bytes); }}, limits);
  take(out, "\n");
  take(err, "\n");
  if (outcome.status.success() && complaint.empty()) return;
  // They may have scrolled out of the last lines.
  for (auto reason = reasons.rbegin(); reason != reasons.rend(); ++reason) {
    if (std::find(lines.begin(), lines.end(), *reason) != lines.end()) continue;
    if (lines.size() >= evidence_lines) lines.pop_back();
    lines.push_front(*reason);
  }
  if (!complaint.empty() && std::find(lines.begin(), lines.end(), complaint) == lines.end()) lines.push_front(complaint);
  const auto where = directory.empty() ? std::string{} : fmt::format("cd {} && ", directory);
  throw Failure{Exit::failed, fmt::format("{} {}:{}", fmt::join(argv, " "), outcome.status.text(), last_of(lines)), fmt::format("{}{}", where, fmt::join(argv, " "))};
}

std::vector<std::string> install_steps(const Workspace& workspace) {
  std::vector<std::string> names;
  for (const auto& package : workspace.packages) {
    if (package.installs) names.push_back(install_key(package));
  }
  return names;
}

std::vector<settings::DevCommand> generate_commands(const Workspace& workspace) {
  if (!workspace.environment.setup_dev.generate.empty()) return workspace.environment.setup_dev.generate;
  std::vector<settings::DevCommand> commands;
  for (const auto& package : workspace.packages) {
    const fs::path folder{package.directory};
    const bool own = fs::exists(workspace.project / folder / "prisma/schema.prisma");
    if (!uses_prisma(package) || (!own && !fs::exists(workspace.project / "prisma/schema.prisma"))) continue;
    settings::DevCommand command{{"./node_modules/.bin/prisma", "generate"}, package.directory, {}, {}};
    if (!own) command.run.push_back("--schema=" + (workspace.project / "prisma/schema.prisma").string());
    commands.push_back(std::move(command));
  }
  return commands;
}

std::vector<std::string> generate_steps(const Workspace& workspace) {
  const auto count = generate_commands(workspace).size();
  std::vector<std::string> names;
  for (std::size_t i = 1; i <= count; ++i) names.push_back(count == 1 ? "generate" : fmt::format("generate:{}", i));
  return names;
}

void add_packages(const Context& context, Steps& steps) {
  const auto& workspace = context.workspace;
  for (const auto& package : workspace.packages) {
    if (!package.installs) continue;
    steps.push_back({install_key(package), {"tools"}, [&context, &package](const Limits& limits) { return look_at_install(context, package, limits); },
                     [&context, &package](const Progress& progress, const Limits& limits) { return install(context, package, progress, limits); }});
  }
  const auto commands = generate_commands(workspace);
  const auto names = generate_steps(workspace);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    auto needs = install_steps(workspace);
    needs.push_back("env");
    const auto key = fmt::format("generate:{} {}", commands[i].directory, fmt::join(commands[i].run, " "));
    steps.push_back({names[i], needs,
                     [&context, key, command = commands[i]](const Limits& limits) {
                       const auto known = context.ledger.find(key);
                       const bool same = known && known->inputs == command_inputs(context, command, limits);
                       if (const auto lost = same ? gone(context.workspace.project, command.outputs, known->note) : std::string{}; !lost.empty()) {
                         return Finding{false, fmt::format("\"{}\", which it makes, is gone", lost), {}, {}};
                       }
                       return Finding{same, same ? "its inputs are the same" : "its inputs have changed, or it never ran", {}, {}};
                     },
                     [&context, key, command = commands[i]](const Progress& progress, const Limits& limits) {
                       context.ledger.drop(key);
                       const auto inputs = command_inputs(context, command, limits);
                       run_tool(context, command.run, command.directory, progress, limits);
                       const auto by = fmt::format("{}", fmt::join(command.run, " "));
                       context.ledger.put(key, {inputs, made(context.workspace.project, command.outputs, usual_outputs(context.workspace, command), by)});
                       return fmt::format("{}", fmt::join(command.run, " "));
                     }});
  }
  if (!workspace.environment.setup_dev.build) return;
  for (const auto& package : workspace.packages) {
    if (package.scripts.count("build") == 0) continue;
    auto needs = install_steps(workspace);
    needs.push_back("env");
    for (const auto& name : names) needs.push_back(name);
    const auto key = "build:" + package.name;
    steps.push_back({key, needs,
                     [&context, key](const Limits&) {
                       const auto known = context.ledger.find(key);
                       const bool built = known.has_value();
                       const auto& setup = context.workspace.environment.setup_dev;
                       if (const auto lost = built ? gone(context.workspace.project, setup.build_outputs, known->note) : std::string{}; !lost.empty()) {
                         return Finding{false, fmt::format("\"{}\", which it makes, is gone", lost), {}, {}};
                       }
                       return Finding{built, built ? "was built once" : "was never built", {}, {}};
                     },
                     [&context, key, &package](const Progress& progress, const Limits& limits) {
                       run_tool(context, {package.manager, "run", "build"}, package.directory, progress, limits);
                       std::vector<std::string> left;
                       for (const auto* usual : usual_builds) left.push_back((fs::path{package.directory} / usual).string());
                       context.ledger.put(key, {"built", made(context.workspace.project, {}, left, key)});
                       return fmt::format("{} run build", package.manager);
                     }});
  }
}

Steps all_steps(const Context& context) {
  Steps steps;
  add_tools(context, steps);
  add_env(context, steps);
  add_stores(context, steps);
  add_packages(context, steps);
  add_database(context, steps);
  return steps;
}

}  // namespace codops::ops::dev
