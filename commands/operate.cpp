// Verbs that act on what runs without a new release: exec, run, down, maintenance, build, and the lock's own.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "commands/host.hpp"
#include "commands/releases.hpp"
#include "lib/base/units.hpp"
#include "lib/io/files.hpp"
#include "lib/release/lock.hpp"
#include "lib/target/input.hpp"

namespace codops::commands {
namespace {

// As a shell has it of a command whose output nobody reads any more: 128 and SIGPIPE.
constexpr int nobody_reads = 141;

target::ExecStreams streams_of(Services& services, bool& closed) {
  target::ExecStreams streams;
  if (!services.terminal().in) {
    streams.in = [](char* into, std::size_t size) {
      pollfd ready{STDIN_FILENO, POLLIN, 0};
      if (::poll(&ready, 1, 0) == 0) throw target::NothingYet{STDIN_FILENO};
      const auto count = ::read(STDIN_FILENO, into, size);
      return count > 0 ? static_cast<std::size_t>(count) : 0;
    };
  }
  streams.out = [&services, &closed](std::string_view bytes) {
    if (services.write(bytes)) return;
    closed = true;
    throw Failure{Exit::interrupted, "nobody reads the output any more"};
  };
  streams.err = [](std::string_view bytes) { [[maybe_unused]] const auto written = ::write(STDERR_FILENO, bytes.data(), bytes.size()); };
  return streams;
}

// The command's exit code; as docker's client does, it ends with the reader of its output.
Result piped(Services& services, const std::function<int(const target::ExecStreams&)>& act) {
  bool closed = false;
  try {
    return {static_cast<Exit>(act(streams_of(services, closed))), {}, {}};
  } catch (const Failure&) {
    if (!closed) throw;
    return {static_cast<Exit>(nobody_reads), {}, {}};
  }
}

class Exec final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("SERVICE", service_, "the service");
    parameters.number("--index", "N", index_, "which of its containers (1)");
    parameters.option("-u,--user", "USER", user_, "as this user");
    parameters.rest("COMMAND", argv_, "the command and its arguments");
  }
  Result run(Services& services) override {
    if (argv_.empty()) throw Failure{Exit::usage, "no command is given", fmt::format("codops exec {} {} -- COMMAND", environment_, service_)};
    const auto engine = open_engine(services, environment_);
    const auto containers = engine->containers().list(service_, false, services.limits());
    const auto index = static_cast<std::size_t>(index_.value_or(1));
    if (containers.empty()) require_service(*engine, services.limits());
    if (index < 1 || index > containers.size()) {
      throw Failure{Exit::failed, containers.empty() ? fmt::format("no container of \"{}\" runs", service_)
                                                     : fmt::format("\"{}\" has {} containers, not {}", service_, containers.size(), index),
                    fmt::format("codops status {}", environment_)};
    }
    target::ExecRequest request;
    request.argv = argv_;
    request.user = user_.value_or("");
    const auto& container = containers[index - 1].id;
    if (services.terminal().in && services.terminal().out) {
      return {static_cast<Exit>(engine->exec_on_terminal(container, argv_, request.user, services.limits())), {}, {}};
    }
    return piped(services, [&](const auto& streams) { return engine->containers().exec(container, request, streams, services.limits()); });
  }

 private:
  // One whose containers are stopped is another matter.
  void require_service(ops::Engine& engine, const Limits& limits) const {
    std::set<std::string> known;
    for (const auto& container : engine.containers().list({}, true, limits)) {
      if (!container.service.empty()) known.insert(container.service);
    }
    if (known.contains(service_) || known.empty()) return;
    throw Failure{Exit::usage, fmt::format("{} has no service \"{}\"", environment_, service_), fmt::format("there are: {}", fmt::join(known, ", "))};
  }

  std::string environment_, service_;
  std::optional<std::int64_t> index_;
  std::optional<std::string> user_;
  std::vector<std::string> argv_;
};

class Run final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("SERVICE", service_, "whose image, environment and networks it gets");
    parameters.rest("COMMAND", argv_, "the command and its arguments");
  }
  Result run(Services& services) override {
    if (argv_.empty()) throw Failure{Exit::usage, "no command is given", fmt::format("codops run {} {} -- COMMAND", environment_, service_)};
    const auto engine = open_engine(services, environment_);
    if (services.terminal().in && services.terminal().out) {
      return {static_cast<Exit>(engine->run_on_terminal({service_, argv_, {}, true}, services.limits())), {}, {}};
    }
    return piped(services, [&](const auto& streams) { return engine->run({service_, argv_, {}, false}, streams, services.limits()); });
  }

 private:
  std::string environment_, service_;
  std::vector<std::string> argv_;
};

class Down final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.flag("--volumes", volumes_, "the volumes too: all data is lost");
    parameters.flag("--namespace", namespace_, "Kubernetes: the namespace too, with whatever else is in it");
    parameters.duration("--lock-wait", lock_wait_, "waits so long for another run to end");
  }
  Result run(Services& services) override {
    const auto engine = open_engine(services, environment_);
    const ops::DownRequest request{volumes_, namespace_, "down " + environment_, lock_wait_.value_or(Milliseconds{0}), asker(services)};
    const auto plan = engine->plan_down(request, services.limits());
    if (plan.empty()) return {Exit::ok, fmt::format("nothing of {} is there\n", environment_), {}};
    auto json = nlohmann::json::parse(plan.json);
    json["dry_run"] = services.options().dry_run;
    if (services.options().dry_run) return {Exit::ok, "would remove " + plan.text + "\n" + plan.steps, json.dump()};
    if (!services.confirm(fmt::format("remove {} of {}?", plan.text, environment_))) throw Failure{Exit::failed, "not confirmed", "nothing was changed"};
    const auto removed = engine->down(plan, request, services.limits());
    json = nlohmann::json::parse(removed.json);
    json["dry_run"] = false;
    return {Exit::ok, fmt::format("{} is down: {} removed\n", environment_, removed.text), json.dump(), true};
  }

 private:
  std::string environment_;
  bool volumes_{}, namespace_{};
  std::optional<Milliseconds> lock_wait_;
};

class Maintenance final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("on|off", state_, "whether the front answers 503");
    parameters.option("--page", "FILE", page_, "the page to show, HTML");
    parameters.duration("--lock-wait", lock_wait_, "waits so long for another run to end");
  }
  Result run(Services& services) override {
    if (state_ != "on" && state_ != "off") throw Failure{Exit::usage, fmt::format("\"{}\" is neither on nor off", state_), fmt::format("codops maintenance {} on", environment_)};
    std::optional<std::string> page;
    if (page_) page = io::read_file(*page_, 256U << 10U);
    const bool on = state_ == "on";
    if (services.options().dry_run) return {Exit::ok, fmt::format("would {} at the front\n", on ? "answer 503" : "bring the application back"), {}};
    require_consent(services, environment_, fmt::format("{} at the front of {}?", on ? "answer 503" : "bring the application back", environment_));
    open_engine(services, environment_)->maintenance(on, page, fmt::format("maintenance {} {}", environment_, state_), lock_wait_.value_or(Milliseconds{0}), services.limits());
    return {Exit::ok, on ? fmt::format("the front of {} answers 503\n  back:  codops maintenance {} off\n", environment_, environment_)
                         : fmt::format("{} serves again\n", environment_), {}, true};
  }

 private:
  std::string environment_, state_;
  std::optional<std::string> page_;
  std::optional<Milliseconds> lock_wait_;
};

class Unlock final : public Command {
 public:
  void declare(Parameters& parameters) override { parameters.positional("ENV", environment_, "the environment"); }
  Result run(Services& services) override {
    const auto engine = open_engine(services, environment_);
    const auto lock = engine->lock("deploy");
    const auto state = lock->inspect(services.limits());
    if (!state) return {Exit::ok, fmt::format("{} is not locked\n", environment_), R"({"exit":0,"locked":false})"};
    const auto holder = release::describe(*state);
    if (services.options().dry_run) return {Exit::ok, "would evict " + holder + "\n", {}};
    if (!services.confirm(fmt::format("evict {}?", holder))) throw Failure{Exit::failed, "not confirmed", "the lock stays"};
    lock->remove(state->token, services.limits());
    return {Exit::ok, fmt::format("evicted: {}\n  the next command recovers what it left; see: codops status {}\n", holder, environment_), R"({"exit":0,"locked":false})", true};
  }

 private:
  std::string environment_;
};

// resume and abort: taking the lock recovers. abort never goes forward.
class Recover final : public Command {
 public:
  explicit Recover(bool back) : back_{back} {}
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.duration("--lock-wait", lock_wait_, "waits so long for another run to end");
  }
  Result run(Services& services) override {
    const auto engine = open_engine(services, environment_);
    if (services.options().dry_run) {
      const auto snapshot = engine->snapshot(services.limits());
      return {Exit::ok, snapshot.unfinished() == nullptr ? "nothing is unfinished\n" : fmt::format("would recover {}\n", snapshot.unfinished()->run), {}};
    }
    require_consent(services, environment_, fmt::format("{} what a run of {} that died left behind?", back_ ? "undo" : "finish or undo", environment_));
    const auto recovery = engine->recover(fmt::format("{} {}", back_ ? "abort" : "resume", environment_), lock_wait_.value_or(Milliseconds{0}),
                                          back_ ? ops::RecoveryWay::back : ops::RecoveryWay::best, services.limits());
    const nlohmann::json json{{"exit", 0}, {"recovered", recovery.needed}, {"forward", recovery.forward}, {"text", recovery.text}};
    return {Exit::ok, recovery.needed ? recovery.text + "\n" : "nothing is unfinished\n", json.dump(), recovery.needed};
  }

 private:
  bool back_;
  std::string environment_;
  std::optional<Milliseconds> lock_wait_;
};

class Build final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("VERSION", version_, "the tag of the images");
    parameters.positionals("SERVICE", names_, "the services; without one, all that have build:");
    parameters.flag("--push", push_, "sends the images to their registry");
  }
  Result run(Services& services) override {
    ops::require_version(version_);
    const auto engine = open_engine(services, environment_);
    nlohmann::json json{{"exit", 0}, {"images", nlohmann::json::array()}};
    std::string text;
    for (const auto& built : engine->build(version_, names_, push_, services.limits())) {
      json["images"].push_back({{"service", built.service}, {"image", built.image}, {"id", built.id}});
      text += fmt::format("{}  {}  {}\n", built.service, built.image, built.id.substr(0, 19));
    }
    return {Exit::ok, text, json.dump(), true};
  }

 private:
  std::string environment_, version_;
  std::vector<std::string> names_;
  bool push_{};
};

}  // namespace

std::unique_ptr<Command> make_exec() { return make_command<Exec>(); }
std::unique_ptr<Command> make_run() { return make_command<Run>(); }
std::unique_ptr<Command> make_down() { return make_command<Down>(); }
std::unique_ptr<Command> make_maintenance() { return make_command<Maintenance>(); }
std::unique_ptr<Command> make_unlock() { return make_command<Unlock>(); }
std::unique_ptr<Command> make_resume() { return std::make_unique<Recover>(false); }
std::unique_ptr<Command> make_abort() { return std::make_unique<Recover>(true); }
std::unique_ptr<Command> make_build() { return make_command<Build>(); }

}  // namespace codops::commands
