#include <fmt/format.h>

#include "commands/backup_before_deploy.hpp"
#include "commands/host.hpp"
#include "commands/releases.hpp"

namespace codops::commands {
namespace {

class Deploy final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positionals("VERSION", targets_, "an image tag for all services, or SERVICE=TAG for single ones", true);
    parameters.flag("--build", build_, "builds the services that have build: first");
    parameters.flag("--force", force_, "makes a new set even where nothing changed");
    parameters.flag("--allow-downtime", allow_downtime_, "accepts steps that cost requests, without asking");
    parameters.flag("--force-conflicts", force_conflicts_, "Kubernetes: takes over fields that somebody else manages");
    parameters.flag("--skip-backup", skip_backup_, "no backup before the migrations");
    parameters.flag("--skip-migrations", skip_migrate_, "leaves the database alone");
    parameters.duration("--lock-wait", lock_wait_, "waits so long for another run to end");
  }

  Result run(Services& services) override {
    ops::DeployRequest request;
    for (const auto& target : targets_) {
      const auto equals = target.find('=');
      if (equals != std::string::npos) {
        const auto [found, first] = request.services.emplace(target.substr(0, equals), target.substr(equals + 1));
        if (!first) throw Failure{Exit::usage, fmt::format("two versions of {}: \"{}\" and \"{}\"", found->first, found->second, target.substr(equals + 1))};
      } else if (request.version.empty()) {
        request.version = target;
      } else {
        throw Failure{Exit::usage, fmt::format("two versions: \"{}\" and \"{}\"", request.version, target)};
      }
    }
    if (!request.version.empty() && !request.services.empty()) {
      throw Failure{Exit::usage, "a version for all and one for a single service don't go together", "deploy the version first, then the service"};
    }
    request.command = fmt::format("deploy {} {}", environment_, fmt::join(targets_, " "));
    request.build = build_;
    request.force = force_;
    request.allow_downtime = allow_downtime_;
    request.force_conflicts = force_conflicts_;
    request.skip_backup = skip_backup_;
    request.skip_migrate = skip_migrate_;
    request.dry_run = services.options().dry_run;
    request.lock_wait = lock_wait_.value_or(Milliseconds{0});
    request.confirm = asker(services);
    request.take_backup = [&services, environment = environment_](const ops::BackupSubject& database, const Limits& limits) {
      return backup_before_deploy(services, environment, database, limits);
    };
    request.show = [&services](const std::string& text) {
      if (services.options().verbosity > 0 || services.terminal().in) show_plan(services, text);
    };
    return ended(open_engine(services, environment_)->deploy(request, services.limits()), environment_);
  }

 private:
  std::string environment_;
  std::vector<std::string> targets_;
  bool build_{}, force_{}, allow_downtime_{}, force_conflicts_{}, skip_backup_{}, skip_migrate_{};
  std::optional<Milliseconds> lock_wait_;
};

class Rollback final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.option("--to", "VERSION|N", to_, "a version or release; without it the one before");
    parameters.flag("--allow-downtime", allow_downtime_, "accepts steps that cost requests, without asking");
    parameters.duration("--lock-wait", lock_wait_, "waits so long for another run to end");
  }

  Result run(Services& services) override {
    ops::RollbackRequest request;
    request.to = to_;
    request.dry_run = services.options().dry_run;
    request.allow_downtime = allow_downtime_;
    request.lock_wait = lock_wait_.value_or(Milliseconds{0});
    request.command = fmt::format("rollback {}{}", environment_, to_ ? " --to " + *to_ : "");
    request.confirm = asker(services);
    return ended(open_engine(services, environment_)->rollback(request, services.limits()), environment_);
  }

 private:
  std::string environment_;
  std::optional<std::string> to_;
  bool allow_downtime_{};
  std::optional<Milliseconds> lock_wait_;
};

class Scale final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positionals("SERVICE=N", counts_, "how many containers of a service", true);
    parameters.duration("--lock-wait", lock_wait_, "waits so long for another run to end");
  }

  Result run(Services& services) override {
    ops::DeployRequest request;
    request.verb = "scale";
    for (const auto& text : counts_) {
      const auto equals = text.find('=');
      const auto digits = equals == std::string::npos ? std::string{} : text.substr(equals + 1);
      const bool number = !digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == std::string::npos;
      if (!number) throw Failure{Exit::usage, fmt::format("\"{}\" is not SERVICE=NUMBER", text), fmt::format("codops scale {} backend=3", environment_)};
      const auto [found, first] = request.scale.emplace(text.substr(0, equals), std::atoi(digits.c_str()));
      if (!first) throw Failure{Exit::usage, fmt::format("two counts of {}: {} and {}", found->first, found->second, digits), fmt::format("codops scale {} {}={}", environment_, found->first, digits)};
    }
    request.command = fmt::format("scale {} {}", environment_, fmt::join(counts_, " "));
    request.dry_run = services.options().dry_run;
    request.lock_wait = lock_wait_.value_or(Milliseconds{0});
    request.confirm = asker(services);
    return ended(open_engine(services, environment_)->deploy(request, services.limits()), environment_);
  }

 private:
  std::string environment_;
  std::vector<std::string> counts_;
  std::optional<Milliseconds> lock_wait_;
};

class Restart final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positionals("SERVICE", names_, "the services; without one, all that roll");
    parameters.flag("--allow-downtime", allow_downtime_, "accepts steps that cost requests, without asking");
    parameters.duration("--lock-wait", lock_wait_, "waits so long for another run to end");
  }

  Result run(Services& services) override {
    ops::DeployRequest request;
    request.verb = "restart";
    request.restart = names_;
    request.allow_downtime = allow_downtime_;
    request.command = fmt::format("restart {}", environment_);
    request.dry_run = services.options().dry_run;
    request.lock_wait = lock_wait_.value_or(Milliseconds{0});
    request.confirm = asker(services);
    return ended(open_engine(services, environment_)->deploy(request, services.limits()), environment_);
  }

 private:
  std::string environment_;
  std::vector<std::string> names_;
  bool allow_downtime_{};
  std::optional<Milliseconds> lock_wait_;
};

}  // namespace

std::unique_ptr<Command> make_deploy() { return make_command<Deploy>(); }
std::unique_ptr<Command> make_rollback() { return make_command<Rollback>(); }
std::unique_ptr<Command> make_scale() { return make_command<Scale>(); }
std::unique_ptr<Command> make_restart() { return make_command<Restart>(); }

}  // namespace codops::commands
