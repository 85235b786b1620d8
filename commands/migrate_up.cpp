#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands/migrate.hpp"
#include "commands/migrate_options.hpp"
#include "lib/base/units.hpp"
#include "lib/migrate/analysis.hpp"

namespace codops::commands {

namespace {

class MigrateUp final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    options_.declare_version(parameters);
    options_.declare_files(parameters);
    options_.declare_database(parameters);
    options_.declare_running(parameters);
    parameters.option("--to", "NAME", until_, "stops behind this one");
  }

  Result run(Services& services) override {
    const auto environment = options_.environment(services);
    const auto source = options_.source(services, environment);
    auto running = options_.running(services, environment);
    running.until = until_.value_or("");
    auto connection = options_.connect(services, environment);
    const auto limits = services.limits();
    if (services.options().dry_run || environment.protected_) {
      const auto pending = migrate::pending(source, connection, running, limits);
      const auto plan = migrate::plan(pending, connection, running.allow_invalid_utf8, limits);
      if (services.options().dry_run) return {Exit::ok, migrate::to_text(plan), migrate::to_json(plan)};
      if (!pending.empty() && !services.confirm(fmt::format("{}apply {} migrations to {}?", migrate::to_text(plan), pending.size(), environment.name))) {
        return {Exit::failed, "nothing was applied\n", {}};
      }
    }
    return shown(migrate::apply(source, connection, running, services.reporter(), limits), environment.name, services.options().output == Output::json);
  }

 private:
  static Result shown(const migrate::Outcome& outcome, const std::string& environment, bool as_json) {
    if (as_json) return {Exit::ok, {}, json(outcome, environment), true};
    std::string text;
    for (const auto& applied : outcome.applied) {
      text += fmt::format("  ✓ {}   {}{}\n", applied.name, format_duration(applied.took), applied.stepwise ? "   statement by statement" : "");
    }
    text += outcome.applied.empty() ? "up to date\n" : fmt::format("{} applied in {}\n", outcome.applied.size(), format_duration(outcome.took));
    return {Exit::ok, text, {}, true};
  }

  static std::string json(const migrate::Outcome& outcome, const std::string& environment) {
    nlohmann::ordered_json document{{"environment", environment}, {"layout", migrate::name_of(outcome.layout)}, {"applied", nlohmann::ordered_json::array()}};
    for (const auto& applied : outcome.applied) {
      document["applied"].push_back({{"name", applied.name}, {"seconds", static_cast<double>(applied.took.count()) / 1000}, {"stepwise", applied.stepwise}});
    }
    document["seconds"] = static_cast<double>(outcome.took.count()) / 1000;
    return document.dump();
  }

  MigrateOptions options_;
  std::optional<std::string> until_;
};

}  // namespace

std::unique_ptr<Command> make_migrate_up() { return std::make_unique<MigrateUp>(); }

}  // namespace codops::commands
