#include "commands/health.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands/health_ad_hoc.hpp"
#include "commands/health_environment.hpp"
#include "lib/base/units.hpp"
#include "lib/health/from_settings.hpp"
#include "lib/health/report.hpp"
#include "lib/health/run.hpp"
#include "lib/io/postgres_environment.hpp"
#include "lib/io/process_replace.hpp"

namespace codops::commands {
namespace {

using health::Check;
using health::Report;

constexpr Milliseconds usual_deadline{10'000};
constexpr Milliseconds usual_wait{60'000};

Failure usage(std::string message, std::string hint) { return {Exit::usage, std::move(message), std::move(hint)}; }

class HealthCheck final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "whose checks: those of codops.yaml, or found by convention", false);
    parameters.positionals("CHECK", names_, "only these, and what they need");
    ad_hoc_.declare(parameters);
    parameters.duration("--check-timeout", timeout_, "for one attempt (5s); --timeout is for all of them (10s)");
    parameters.number("--retries", "N", retries_, "further attempts after a failure (0)");
    parameters.number("--successes", "N", successes_, "so many in a row are well (1)");
    parameters.duration("--slow", slow_, "a slower answer is a warning");
    parameters.number("--parallel", "N", parallel_, "at once at most (500, or what ulimit -n allows)");
    parameters.flag("--strict", strict_, "a warning is a failure: exit 1");
    parameters.flag("--wait", wait_, "again and again until all is well; --timeout says how long (60s)");
    parameters.flag("--watch", watch_, "again and again, as a live table");
    parameters.duration("--interval", interval_, "for --watch (2s)");
    parameters.formats({"nagios", "junit", "prometheus", "github"});
    parameters.rest("COMMAND", command_, "becomes this program once all is well");
  }

  Result run(Services& services) override {
    try {
      return check(services);
    } catch (Failure& failure) {
      // A question that found no answer (no server, no right to ask) is neither a sick application nor a failed deploy.
      if (failure.code() == Exit::unavailable || failure.code() == Exit::failed) failure.with_code(Exit::unknown);
      const bool stopped = failure.code() == Exit::interrupted || failure.code() == Exit::terminated;
      if (services.options().format != "nagios" || stopped) throw;
      // Monitoring shows stdout, and knows the exit codes 0 to 3.
      return {Exit::unknown, health::nagios(failure), ""};
    }
  }

 private:
  Result check(Services& services) {
    health::Convention found;
    auto deadline = usual_deadline;
    health::Options options;
    if (watch_ && (wait_ || !command_.empty())) throw usage("--watch goes with neither --wait nor a command", "leave one away");
    for (const auto& [option, time] : {std::pair{"--timeout", services.options().timeout}, {"--check-timeout", timeout_}}) {
      if (time && *time <= Milliseconds{0}) throw usage(std::string{option} + " is 0: nothing answers in no time", "leave it out, or write 5s");
    }
    between("--retries", retries_, 0, 1000);
    between("--successes", successes_, 1, 1000);
    between("--parallel", parallel_, 1, 100'000);
    ad_hoc_.refuse_contradictions();
    const auto start = services.limits();
    if (!environment_.empty()) {
      const auto environment = services.environment(environment_);
      deadline = environment.health.deadline;
      options.parallel = static_cast<std::size_t>(std::max(1, environment.health.concurrency));
      found = checks_of(services, environment, start.within(deadline));
    }
    found.checks = select(std::move(found.checks), names_);
    ad_hoc_.add_to(found.checks, services);
    if (found.checks.empty()) throw nothing_to_check();
    for (auto& check : found.checks) adjust(check);
    if (parallel_) options.parallel = static_cast<std::size_t>(*parallel_);
    options.strict = strict_;
    options.settle = [&found](Report report) { return keep_offered(std::move(report), found.alternatives); };
    if (ad_hoc_.insecure()) services.reporter().warn("--insecure: certificates of --url, --tls and --redis are not verified");
    if (watch_) return watch(services, found, options, deadline);

    const auto report = once(services, found, options, deadline);
    const auto& format = services.options().format;
    const auto exit = format == "nagios" ? nagios_exit(report) : report.exit(strict_);
    // Only the form that is asked for: a thousand checks make megabytes of the other.
    const bool json = services.options().output == Output::json;
    auto text = json ? json_of(report, 2) : text_of(services, report);
    if (exit == Exit::ok && !command_.empty()) {
      services.write(text);
      io::postgres::restore_environment();
      io::replace_process(command_, {services.options().caller_umask, services.options().caller_core});
    }
    return json ? Result{exit, "", std::move(text)} : Result{exit, std::move(text), ""};
  }

  Failure nothing_to_check() const {
    if (environment_.empty()) return usage("there is nothing to check", "codops health-check production, or --url https://host/health");
    return {Exit::config, "there is nothing to check in \"" + environment_ + "\"", "list checks in codops.yaml: health.checks"};
  }

  static void between(const char* option, const std::optional<std::int64_t>& value, std::int64_t least, std::int64_t most) {
    if (value && (*value < least || *value > most)) throw usage(fmt::format("{} is between {} and {}, not {}", option, least, most, *value), fmt::format("{} {}", option, std::max<std::int64_t>(least, 2)));
  }

  void adjust(Check& check) const {
    if (timeout_) check.timeout = *timeout_;
    if (retries_) check.failures = static_cast<int>(*retries_) + 1;
    if (successes_) check.successes = static_cast<int>(*successes_);
    if (slow_) check.warn_after = slow_;
  }

  Report once(Services& services, const health::Convention& found, const health::Options& options, Milliseconds deadline) const {
    const auto given = services.limits();
    const auto limits = given.deadline.is_never() ? given.within(wait_ ? std::max(deadline, usual_wait) : deadline) : given;
    const bool live = wait_ && services.options().format == "text" && services.options().output == Output::text;
    if (!wait_) return health::run(found.checks, options, limits);
    return wait_until_healthy(found.checks, options, limits, [&](const Report& round) {
      if (live && !round.healthy(strict_)) services.reporter().note("waiting: " + summary(round) + reason_in(round));
    });
  }

  // Of the worst, so that nobody has to wait for the end to see why.
  static std::string reason_in(const Report& report) {
    const auto& worst = *worst_first(report).front();
    return worst.message.empty() ? std::string{} : fmt::format("; {}: {}", worst.name, worst.message);
  }

  // Servers and commands say what they like: bytes that are no UTF-8 are replaced.
  std::string json_of(const Report& report, int indent) const {
    return to_json(report, strict_).dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }

  std::string text_of(Services& services, const Report& report) const {
    const auto& format = services.options().format;
    if (format == "nagios") return nagios(report);
    if (format == "junit") return junit(report, strict_);
    if (format == "prometheus") return prometheus(report);
    if (format == "github") return github(report, strict_);
    return table(report, services.terminal().width, services.terminal().color);
  }

  // As much as the terminal shows now, which may have been resized: what is higher than it can't be replaced.
  static std::string fitted(const std::string& text, std::size_t width) {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) size = {24, static_cast<unsigned short>(width), 0, 0};
    return health::fitted_rows(health::fitted_lines(text, std::min<std::size_t>(width, size.ws_col)), size.ws_row - 1U);
  }

  // On a terminal each table replaces the last one; elsewhere they follow each other.
  Result watch(Services& services, const health::Convention& found, const health::Options& options, Milliseconds deadline) const {
    const auto limits = services.limits();
    std::size_t lines = 0;
    std::optional<Exit> last;
    for (;;) {
      const auto report = health::run(found.checks, options, limits.within(deadline));
      // The end of the watch cuts a round anywhere: the last whole one is the answer.
      if (last && report.ended_by == Exit::deadline && limits.deadline.expired()) return {*last, "", ""};
      last = report.exit(strict_);
      const auto json = services.options().output == Output::json;
      const auto text = json ? json_of(report, -1) : text_of(services, report);
      const bool stopped = report.ended_by == Exit::interrupted || report.ended_by == Exit::terminated;
      if (!stopped) {
        const bool live = services.terminal().out && !json && services.options().format == "text";
        const auto back = live && lines > 0 ? fmt::format("\033[{}A\033[J", lines) : std::string{};
        const auto shown = live ? fitted(text, services.terminal().width) : text;
        if (!services.write(back + shown)) return {Exit::ok, "", ""};
        lines = static_cast<std::size_t>(std::count(shown.begin(), shown.end(), '\n'));
      }
      if (stopped || limits.deadline.expired()) return {report.exit(strict_), "", ""};
      constexpr Milliseconds shortest{100};
      try {
        limits.within(std::max(shortest, interval_.value_or(Milliseconds{2000}))).wait(-1, 0);
      } catch (const Failure& failure) {
        return {failure.code(), "", ""};  // Ctrl-C is how one leaves
      }
      if (limits.deadline.expired()) return {report.exit(strict_), "", ""};
    }
  }

  std::string environment_;
  HealthAdHoc ad_hoc_;
  std::vector<std::string> names_, command_;
  std::optional<Milliseconds> timeout_, slow_, interval_;
  std::optional<std::int64_t> retries_, successes_, parallel_;
  bool strict_{false}, wait_{false}, watch_{false};
};

}  // namespace

std::unique_ptr<Command> make_health_check() { return make_command<HealthCheck>(); }

}  // namespace codops::commands
