// setup-dev and doctor, which is its --check.
#include <fmt/format.h>

#include "commands/dev.hpp"
#include "lib/ops/dev/setup.hpp"
#include "lib/settings/read_environment.hpp"

namespace codops::commands {
namespace {

// "install,generate" is two. An empty variable of a script must not mean "all of them".
std::vector<std::string> split(const char* option, const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (std::string_view word : words) {
    for (;;) {
      const auto comma = word.find(',');
      if (comma != 0 && !word.empty()) out.emplace_back(word.substr(0, comma));
      if (comma == std::string_view::npos) break;
      word.remove_prefix(comma + 1);
    }
  }
  if (out.empty() && !words.empty()) throw Failure{Exit::usage, fmt::format("{} names no step", option), "codops doctor lists them"};
  return out;
}

class SetupDev final : public Command {
 public:
  explicit SetupDev(bool doctor) : check_{doctor}, doctor_{doctor} {}

  void declare(Parameters& parameters) override {
    parameters.choice("--backend", {"auto", "docker", "local"}, backend_, "what runs PostgreSQL and Redis: an engine, or the host's packages");
    parameters.options("--only", "STEP", only_, "only this step and those that it needs (\"install\", \"install:backend\", \"migrate\")");
    parameters.options("--skip", "STEP", skip_, "without this step");
    if (doctor_) return;
    parameters.flag("--check", check_, "looks and changes nothing; exit 2 when there is something to do");
    parameters.flag("--remap", remap_, "agrees to move to free ports, in the .env files too");
    parameters.flag("--reset", reset_, "removes the data first: asks, and says what is lost");
    parameters.flag("--down", down_, "stops what was started; the data stays");
    parameters.duration("--lock-wait", lock_wait_, "how long to wait for another run in this checkout (60s)");
  }

  Result run(Services& services) override {
    const bool check_only = check_ || services.options().dry_run;
    if (down_ && (reset_ || check_only)) throw Failure{Exit::usage, "--down goes with neither --reset nor --check"};
    if (reset_ && check_only) throw Failure{Exit::usage, fmt::format("--reset does not go with {}", check_ ? "--check" : "--dry-run"), "--reset says what is lost and asks, before anything is removed"};
    if (down_ && !(only_.empty() && skip_.empty())) throw Failure{Exit::usage, "--down stops all that was started: it goes with neither --only nor --skip", "codops setup-dev --down"};
    if (reset_ && !only_.empty()) throw Failure{Exit::usage, "--reset removes the data of all services, or none: it does not go with --only", "codops setup-dev --reset"};
    ops::dev::Request request;
    request.inputs = dev_inputs(services, backend_.value_or(""));
    request.only = split("--only", only_);
    request.skip = split("--skip", skip_);
    request.check_only = check_only;
    request.reset = reset_;
    // With --reset the question that --yes answers is whether the data may go: a move is another.
    const bool for_reset = reset_ && services.options().yes;
    request.remap = remap_ || (services.options().yes && !reset_);
    request.caller_umask = services.options().caller_umask;
    if (lock_wait_) request.lock_wait = *lock_wait_;
    request.command = down_ ? "codops setup-dev --down" : "codops setup-dev";
    request.ask = [&services, for_reset](const std::string& question) { return !for_reset && services.terminal().in && services.terminal().err && services.confirm(question); };
    request.confirm = [&services](const std::string& question) { return services.confirm(question); };
    const auto outcome = down_ ? ops::dev::take_down(request, services.reporter(), services.limits())
                               : ops::dev::set_up(request, services.reporter(), services.clock(), services.limits());
    return {outcome.exit, outcome.text, outcome.json};
  }

 private:
  bool check_{}, doctor_{}, remap_{}, reset_{}, down_{};
  std::optional<std::string> backend_;
  std::vector<std::string> only_, skip_;
  std::optional<Milliseconds> lock_wait_;
};

}  // namespace

ops::dev::Inputs dev_inputs(Services& services, const std::string& backend) {
  const auto& known = services.project().environments;
  ops::dev::Inputs inputs;
  if (std::find(known.begin(), known.end(), "development") != known.end()) {
    inputs.environment = services.environment("development");
  } else {
    // Its project lists the environments that it deploys to; a developer's machine need not be one.
    const auto& sources = services.settings_sources();
    inputs.environment = settings::read_environment("development", sources.directory, settings::Settings::load(sources).values());
  }
  inputs.shell = services.settings_sources().variables;
  inputs.backend = backend;
  return inputs;
}

std::unique_ptr<Command> make_setup_dev() { return std::make_unique<SetupDev>(false); }
std::unique_ptr<Command> make_doctor() { return std::make_unique<SetupDev>(true); }

}  // namespace codops::commands
