// `codops backup ENV`: takes one.
#include "commands/backup.hpp"

#include <nlohmann/json.hpp>

#include "commands/backup_place.hpp"
#include "commands/same_place.hpp"
#include "lib/backup/metrics.hpp"
#include "lib/backup/ping.hpp"
#include "lib/base/units.hpp"
#include "lib/io/files.hpp"

namespace codops::commands {
namespace {

using Json = nlohmann::ordered_json;

class Backup final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.choice("--format", {"custom", "plain", "directory", "all"}, format_, "of the dump; all: custom and SQL, of one snapshot");
    parameters.option("--label", "TEXT", label_, "a name to find it by, for example \"before v2\"; of several with the same name the newest is meant");
    parameters.number("--jobs", "N", jobs_, "workers on one snapshot; large tables are read beside pg_dump");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
    parameters.option("--database-url-env", "NAME", url_variable_, "the variable that has the database's URL");
    parameters.duration("--lock-wait", lock_wait_, "how long to wait for a table that is being altered; default 1m");
    parameters.option("--metrics-file", "FILE", metrics_file_, "node-exporter textfile to write after each attempt");
    parameters.option("--ping-env", "NAME", ping_variable_, "the variable with a dead-man URL: told of start, verified success, failure");
    parameters.flag("--no-prune", no_prune_, "keeps every earlier backup");
  }

  Result run(Services& services) override {
    if (label_) backup::check_tag(*label_);
    const auto environment = services.environment(environment_);
    if (services.options().dry_run) {
      BackupPlace place{services, environment_, store_};
      return plan(services, place);
    }
    const auto ping = open_ping(services, environment);
    ping.start(services.limits());
    std::unique_ptr<BackupPlace> opened;
    std::optional<backup::Taken> taken;
    try {
      opened = std::make_unique<BackupPlace>(services, environment_, store_);
      auto& place = *opened;
      taken = backup::take(place.catalogue(), place.subject(url_variable_), options(place), place.keys(), services.clock(), services.reporter(),
                           services.limits());
    } catch (Failure& failure) {
      failed(services, environment, opened.get(), ping);
      failure.with_hint(fmt::format("nothing was published, and earlier backups are as they were; once that is mended: codops backup {}{}", environment_, same_place(services.options(), store_, url_variable_)));
      throw;
    } catch (...) {
      failed(services, environment, opened.get(), ping);
      throw;
    }
    auto& place = *opened;
    std::optional<Failure> untold;
    for (const auto& tell : std::initializer_list<std::function<void()>>{[&] { write_metrics(services, environment, &place, services.limits()); }, [&] { ping.success(services.limits()); }}) {
      try {
        tell();
      } catch (const Failure& failure) {
        untold = failure;
      }
    }
    if (!untold) return told(*taken, place, services.options());
    untold->add_context(fmt::format("backup {} is published and verified, but whoever watches could not be told", taken->manifest.label));
    throw *untold;
  }

 private:
  backup::Options options(const BackupPlace& place) const {
    auto options = place.options();
    if (format_) {
      options.dump.archive = *format_ != "plain";
      options.dump.plain = *format_ == "plain" || *format_ == "all";
      options.dump.split = *format_ == "directory";
    }
    if (jobs_) {
      if (*jobs_ < 1 || *jobs_ > 64) throw Failure{Exit::usage, "--jobs takes 1 to 64"};
      options.dump.jobs = static_cast<int>(*jobs_);
    }
    if (lock_wait_) options.dump.lock_wait = *lock_wait_;
    options.tag = label_.value_or("");
    if (no_prune_) options.prune.reset();
    return options;
  }

  // The failure is what counts: that it could not be told elsewhere is only worth a warning. None of these keeps the other from being
  // tried, and the run's own limits may be what ended it.
  void failed(Services& services, const settings::Environment& environment, BackupPlace* place, const backup::Ping& ping) const {
    const auto limits = [] { return Limits{}.within(Milliseconds{10'000}); };
    for (const auto& tell : std::initializer_list<std::function<void()>>{[&] { ping.failure(limits()); }, [&] { write_metrics(services, environment, place, limits()); }}) {
      try {
        tell();
      } catch (const std::exception& second) {
        services.reporter().warn(second.what());
      }
    }
  }

  Result plan(Services& services, BackupPlace& place) const {
    const auto chosen = options(place);
    const auto subject = place.subject(url_variable_);
    const auto text = fmt::format(
        "{} · {} → {}\n  {}{}{} · zstd -{} · {} · {}\n", environment_, subject.database.describe(),
        place.catalogue().store().describe(), chosen.dump.archive ? "custom archive" : "",
        chosen.dump.archive && chosen.dump.plain ? " and " : "", chosen.dump.plain ? "SQL" : "", chosen.dump.level,
        place.keys().encrypts() ? "encrypted" : "not encrypted", place.keys().signing ? "signed" : "not signed");
    const Json json{{"exit", 0}, {"dry_run", true}, {"environment", environment_}, {"database", subject.database.describe()},
                    {"store", place.catalogue().store().describe()}, {"encrypted", place.keys().encrypts()}};
    (void)services;
    return {Exit::ok, text, json.dump()};
  }

  backup::Ping open_ping(Services& services, const settings::Environment& environment) const {
    const auto name = ping_variable_.value_or(environment.backup.ping_url_variable);
    if (name.empty()) return backup::Ping{};
    const auto url = services.variable(name);
    if (!url) throw Failure{Exit::config, fmt::format("{} is not set", name), "it names the URL that backup pings"};
    return backup::Ping{Secret{*url}};
  }

  // A store that does not answer has told the last run what it holds.
  void write_metrics(Services& services, const settings::Environment& environment, BackupPlace* place, const Limits& limits) const {
    const auto file = metrics_file_.value_or(environment.backup.metrics_file);
    if (file.empty()) return;
    std::optional<backup::Metrics> metrics;
    try {
      if (place != nullptr) metrics = of_store(place->catalogue(), limits);
    } catch (const std::exception& error) {
      services.reporter().warn(fmt::format("the metrics' time of the last success is that of an earlier run: {}", error.what()));
    }
    if (!metrics) metrics = backup::from_exposition(io::read_file_if_there(file).value_or(""), environment_);
    metrics->last_attempt = services.clock().now();
    backup::write_metrics(file, *metrics);
  }

  backup::Metrics of_store(backup::Catalogue& catalogue, const Limits& limits) const {
    backup::Metrics metrics;
    metrics.environment = environment_;
    std::vector<backup::Broken> broken;
    for (const auto& entry : catalogue.list(limits, &broken)) {
      if (!entry.sound() || entry.manifest.safety) continue;
      metrics.last_success = entry.manifest.finished;
      metrics.size = entry.manifest.size();
      metrics.duration = entry.manifest.finished - entry.manifest.started;
      if (entry.marks.drilled) metrics.restore_verified = entry.marks.drilled;
    }
    return metrics;
  }

  Result told(const backup::Taken& taken, BackupPlace& place, const GlobalOptions& options) const {
    const auto& manifest = taken.manifest;
    std::string text = fmt::format("{} · {} · {} · verified · {}\n", manifest.label, format_bytes(manifest.size()), manifest.contents(),
                                   format_duration(taken.took));
    if (!taken.pruned.empty()) text += fmt::format("  pruned   {} older\n", taken.pruned.size());
    if (!manifest.encrypted) text += "  not encrypted: set backup.recipients (codops backup keygen)\n";
    text += fmt::format("  back:    codops restore {} {}{}\n", environment_, manifest.label, same_place(options, store_, url_variable_));
    const Json json{{"exit", 0},
                    {"environment", environment_},
                    {"label", manifest.label},
                    {"tag", manifest.tag},
                    {"store", place.catalogue().store().describe()},
                    {"size", manifest.size()},
                    {"plain_size", manifest.plain_size()},
                    {"tables", manifest.tables.size()},
                    {"rows", manifest.rows()},
                    {"encrypted", manifest.encrypted},
                    {"signed", place.keys().signing.has_value()},
                    {"seconds", static_cast<double>(taken.took.count()) / 1000},
                    {"pruned", taken.pruned}};
    return {Exit::ok, text, json.dump(), true};
  }

  std::string environment_;
  std::optional<std::string> format_, label_, store_, url_variable_, metrics_file_, ping_variable_;
  std::optional<std::int64_t> jobs_;
  std::optional<Milliseconds> lock_wait_;
  bool no_prune_{};
};

}  // namespace

std::unique_ptr<Command> make_backup() { return make_command<Backup>(); }

}  // namespace codops::commands
