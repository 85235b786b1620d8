// Verbs that look and change nothing: status, history, logs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands/host.hpp"
#include "commands/releases.hpp"
#include "lib/base/units.hpp"
#include "lib/ops/history_text.hpp"

namespace codops::commands {
namespace {

class StatusVerb final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.flag("--check", check_, "exit 2 unless everything runs as its release says");
  }
  Result run(Services& services) override {
    const auto engine = open_engine(services, environment_);
    try {
      const auto status = engine->status(services.limits());
      return {check_ && (!status.healthy || status.drifted) ? Exit::unhealthy : Exit::ok, status.text, status.json};
    } catch (Failure& failure) {
      if (failure.code() == Exit::unavailable || failure.code() == Exit::failed) failure.with_code(Exit::unknown);  // a question that found no answer
      throw;
    }
  }

 private:
  std::string environment_;
  bool check_{};
};

class History final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("N", entry_, "one entry, or a release number after \"r\" (r13)", false);
    parameters.flag("--logs", logs_, "the log lines that were kept of a failed run");
    parameters.flag("--journal", journal_, "every step as it was journalled");
    parameters.number("--last", "COUNT", last_, "so many entries (20)");
  }
  Result run(Services& services) override {
    if (last_.value_or(0) < 0) throw Failure{Exit::usage, fmt::format("--last takes a number of entries, not \"{}\"", *last_)};
    const auto engine = open_engine(services, environment_);
    const auto snapshot = engine->snapshot(services.limits());
    const auto now = engine->now();
    if (!entry_.empty()) return {Exit::ok, ops::story_text(snapshot, entry_, logs_, journal_), ops::story_json(snapshot, entry_)};
    if (journal_) return {Exit::ok, ops::journal_text(snapshot), ops::history_json(snapshot)};
    return {Exit::ok, ops::history_text(snapshot, environment_, now, static_cast<std::size_t>(last_.value_or(20))), ops::history_json(snapshot)};
  }

 private:
  std::string environment_, entry_;
  bool logs_{}, journal_{};
  std::optional<std::int64_t> last_;
};

class Logs final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positionals("SERVICE", names_, "the services; without one, all");
    parameters.flag("-f,--follow", follow_, "goes on with new lines");
    parameters.number("-n,--tail", "LINES", tail_, "the last lines of each container (100)");
    parameters.flag("-t,--timestamps", timestamps_, "puts the time before each line");
  }
  Result run(Services& services) override {
    if (tail_.value_or(0) < 0) throw Failure{Exit::usage, fmt::format("--tail takes a number of lines, not \"{}\"", *tail_), fmt::format("codops logs {} -n 100", environment_)};
    ops::LogsRequest request{names_, follow_, timestamps_, static_cast<std::size_t>(tail_.value_or(100))};
    open_engine(services, environment_)->logs(request, [&](std::string_view line) { return services.write(line); }, services.limits());
    return {};
  }

 private:
  std::string environment_;
  std::vector<std::string> names_;
  bool follow_{}, timestamps_{};
  std::optional<std::int64_t> tail_;
};

}  // namespace

std::unique_ptr<Command> make_status() { return make_command<StatusVerb>(); }
std::unique_ptr<Command> make_history() { return make_command<History>(); }
std::unique_ptr<Command> make_logs() { return make_command<Logs>(); }

}  // namespace codops::commands
