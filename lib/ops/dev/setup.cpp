#include "lib/ops/dev/setup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/ops/dev/steps.hpp"
#include "lib/scaffold/dev/in_place.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/ports.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;

// A step that was blocked is no reason of its own.
Exit exit_of(const std::vector<StepResult>& results, bool check_only) {
  std::optional<Exit> exit;
  for (const auto& result : results) {
    if (result.ending != Ending::failed && result.ending != Ending::wanted) continue;
    if (result.code == Exit::interrupted || result.code == Exit::terminated || result.code == Exit::deadline) return result.code;
    if (!exit) exit = result.code;
    else if (*exit != result.code) exit = Exit::failed;
  }
  if (!exit) return Exit::ok;
  return check_only ? Exit::unhealthy : *exit == Exit::unhealthy ? Exit::failed : *exit;
}

// A developer's machine needs one of each; ports that are published are there once anyway.
void tell_counts(const compose::Project& project, Reporter& reporter) {
  std::vector<std::string> none;
  for (const auto& [name, service] : project.services) {
    if (service.replicas() == 0) none.push_back(name);
    if (service.replicas() > 1) reporter.note(fmt::format("the compose file wants {} of \"{}\": setup-dev runs one", service.replicas(), name));
  }
  if (!none.empty()) reporter.note(fmt::format("not run, as the compose file wants none: {}", fmt::join(none, ", ")));
}

void tell_notes(const Workspace& workspace, Reporter& reporter) {
  if (workspace.backend == Backend::local && !workspace.backend_why.empty()) reporter.note(fmt::format("backend local: {}", workspace.backend_why));
  for (const auto& note : workspace.notes) reporter.note(note);
  if (!workspace.compose) return;
  if (workspace.backend == Backend::docker) {
    tell_counts(*workspace.compose, reporter);
    return;
  }
  std::vector<std::string> others;
  for (const auto& [name, service] : workspace.compose->services) {
    if (store_of_service(service) == Store::none) others.push_back(name);
  }
  if (!others.empty()) reporter.note(fmt::format("not run by the local backend: {}", fmt::join(others, ", ")));
}

// Of servers that were seen to answer.
std::vector<std::string> find_refused(const Workspace& workspace, const std::vector<StepResult>& steps, const Limits& limits) {
  std::vector<std::string> refused;
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    const auto last = store->store == Store::postgres ? std::string{"database"} : store->name;
    if (!store->wanted || std::none_of(steps.begin(), steps.end(), [&](const StepResult& step) { return step.name == last; })) continue;
    for (auto& line : refused_logins(workspace, store->store, limits)) refused.push_back(std::move(line));
  }
  return refused;
}

Outcome run(const Request& request, const Workspace& workspace, Ledger& ledger, Reporter& reporter, const Clock& clock, const Limits& limits) {
  tell_notes(workspace, reporter);
  KeptConnection connection;
  StartedCommands commands{ledger};
  Context context{workspace, ledger, reporter, clock, request.caller_umask, connection, commands};
  const auto chosen = choose_steps(all_steps(context), request.only, request.skip);
  context.server_is_looked_at = std::any_of(chosen.steps.begin(), chosen.steps.end(), [&](const Step& step) { return step.name == workspace.postgres.name; });
  Outcome outcome;
  outcome.left_out = chosen.left_out;
  outcome.steps = run_steps(chosen.steps, {request.check_only, 4}, reporter, clock, limits);
  outcome.exit = exit_of(outcome.steps, request.check_only);
  commands.over();
  if (!request.check_only) ledger.save();
  if (outcome.exit == Exit::ok) outcome.refused = find_refused(workspace, outcome.steps, limits);
  outcome.text = summary_text(workspace, outcome, request);
  outcome.json = summary_json(workspace, outcome, request);
  return outcome;
}

Agree agreement(const Request& request) {
  return [&request](const std::string& question) { return request.remap || (request.ask && request.ask(question)); };
}

// What is lost is said before anything is touched.
void reset(const Request& request, Workspace& workspace, Ledger& ledger, Reporter& reporter, const Limits& limits) {
  const auto lost = losses(workspace, limits);
  const auto kept = kept_folders(workspace);
  const auto kept_text = kept.empty() ? std::string{} : fmt::format("--reset leaves folders of yours, and the data in them: {}", fmt::join(kept, "; "));
  if (lost.empty()) {
    reporter.note(kept.empty() ? "there is no data to remove" : kept_text);
    return;
  }
  std::string question = "This is lost for good:\n";
  for (const auto& line : lost) question += fmt::format("  - {}\n", line);
  if (!kept.empty()) question += kept_text + "\n";
  if (!request.confirm(question + "Remove it?")) throw Failure{Exit::usage, "nothing was removed"};
  remove_data(workspace, ledger, limits);
  reporter.note(fmt::format("removed: {}", fmt::join(lost, "; ")));
  if (!kept.empty()) reporter.note(kept_text);
}

// What a run that was killed had begun to write: secrets may stand in it. The lock is held.
void tidy(const Workspace& workspace) {
  LocalPostgres{workspace.project}.note_place();
  io::remove_unfinished(workspace.folder);
  for (const auto& file : workspace.env) {
    const auto path = workspace.project / file.path;
    io::remove_unfinished(path.parent_path(), path.filename().string());
  }
}

// What npm makes there would be root's, and the checkout's owner could not remove it.
void refuse_sudo(const Request& request) {
  const auto sudo = request.inputs.shell.find("SUDO_UID");
  struct stat status {};
  if (::geteuid() != 0 || sudo == request.inputs.shell.end() || ::stat(request.inputs.environment.directory.c_str(), &status) != 0) return;
  if (status.st_uid == 0 || std::to_string(status.st_uid) != sudo->second) return;
  throw Failure{Exit::config, fmt::format("this checkout is user \"{}\"'s, and with sudo its node_modules and servers would be root's", user_name(status.st_uid)), "codops setup-dev, without sudo"};
}

Outcome change(const Request& request, Reporter& reporter, const Clock& clock, const Limits& limits) {
  const auto folder = dev_folder(request.inputs.environment.directory);
  refuse_sudo(request);
  // Before anything is made there.
  if (!std::filesystem::is_directory(folder)) require_something(observe(request.inputs, {}, limits));
  make_dev_folder(request.inputs.environment.directory);
  const auto lock = RunLock::take(folder, request.command, request.lock_wait, reporter, limits);
  Ledger ledger{folder};
  if (const auto left = end_left_commands(ledger, limits); !left.empty()) reporter.note(fmt::format("ended, left running by a run that was killed: {}", fmt::join(left, ", ")));
  for (const auto& text : put_back(request.inputs.environment.directory, folder / unfinished_writes, folder / "replaced")) reporter.note(text);
  if (request.reset) {
    auto before = observe(request.inputs, {}, limits);
    reset(request, before, ledger, reporter, limits);
  }
  const auto workspace = observe(request.inputs, agreement(request), limits);
  tidy(workspace);
  return run(request, workspace, ledger, reporter, clock, limits);
}

}  // namespace

Outcome set_up(const Request& request, Reporter& reporter, const Clock& clock, const Limits& limits) {
  if (request.check_only) {
    auto workspace = observe(request.inputs, request.remap ? agreement(request) : Agree{}, limits);
    require_something(workspace);
    Ledger ledger{dev_folder(request.inputs.environment.directory)};
    return run(request, workspace, ledger, reporter, clock, limits);
  }
  try {
    return change(request, reporter, clock, limits);
  } catch (const Failure& failure) {
    // The very first file of .codops/dev, or the last: no step's.
    if (!is_full_disk(failure.message())) throw;
    throw Failure{failure.code(), failure.message(), full_disk_hint};
  }
}

}  // namespace codops::ops::dev
