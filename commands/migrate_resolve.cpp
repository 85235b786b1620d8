// baseline and resolve: the history is put right, no script runs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands/host.hpp"
#include "commands/migrate.hpp"
#include "commands/migrate_options.hpp"

namespace codops::commands {

namespace {

class MigrateBaseline final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    options_.declare_version(parameters);
    options_.declare_files(parameters);
    options_.declare_database(parameters);
    options_.declare_running(parameters);
    parameters.option("--to", "NAME", to_, "up to and including this one; else all");
    parameters.flag("--empty", empty_, "none: begins a history beside tables of others, and all migrations then run");
  }

  Result run(Services& services) override {
    if (empty_ && to_) throw Failure{Exit::usage, "either --to NAME or --empty"};
    const auto environment = options_.environment(services);
    const auto source = options_.source(services, environment);
    if (empty_) return begin(services, environment, source);
    const auto what = to_ ? fmt::format("the migrations up to \"{}\"", *to_) : "all migrations";
    if (services.options().dry_run) return {Exit::ok, fmt::format("would mark {} of {} as applied\n", what, environment.name), {}};
    if (!services.confirm(fmt::format("mark {} of {} as applied, without running them?", what, environment.name))) return {Exit::failed, "nothing was marked\n", {}};
    auto connection = options_.connect(services, environment);
    const auto marked = migrate::baseline(source, connection, to_.value_or(""), options_.running(services, environment), services.reporter(), services.limits());
    std::string text;
    for (const auto& name : marked) text += fmt::format("  = {}\n", name);
    return {Exit::ok, text + fmt::format("{} marked as applied\n", marked.size()), nlohmann::ordered_json{{"marked", marked}}.dump(), true};
  }

 private:
  Result begin(Services& services, const settings::Environment& environment, const migrate::Source& source) {
    if (services.options().dry_run) return {Exit::ok, fmt::format("would begin an empty history in {}\n", environment.name), {}};
    if (!services.confirm(fmt::format("begin an empty history in {}? Every migration runs then, from the first on.", environment.name))) return {Exit::failed, "nothing was changed\n", {}};
    auto connection = options_.connect(services, environment);
    const bool made = migrate::begin_history(source, connection, options_.running(services, environment), services.reporter(), services.limits());
    return {Exit::ok, made ? "an empty history was begun\n" : "there is a history already: nothing was changed\n", nlohmann::ordered_json{{"marked", nlohmann::ordered_json::array()}, {"begun", made}}.dump()};
  }

  MigrateOptions options_;
  std::optional<std::string> to_;
  bool empty_{false};
};

class MigrateResolve final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    options_.declare_version(parameters);
    options_.declare_files(parameters);
    options_.declare_database(parameters);
    options_.declare_running(parameters);
    parameters.option("--applied", "NAME", applied_, "its effects are complete: record it as applied");
    parameters.option("--rolled-back", "NAME", rolled_back_, "its effects are undone: let it run again");
  }

  Result run(Services& services) override {
    if (applied_.has_value() == rolled_back_.has_value()) throw Failure{Exit::usage, "either --applied NAME or --rolled-back NAME"};
    const auto environment = options_.environment(services);
    const auto source = options_.source(services, environment);
    const auto& name = applied_ ? *applied_ : *rolled_back_;
    const auto what = fmt::format("\"{}\" as {}", name, applied_ ? "applied" : "rolled back");
    if (services.options().dry_run) return {Exit::ok, fmt::format("would mark {}\n", what), {}};
    require_consent(services, environment.name, fmt::format("mark {} in {}?", what, environment.name));
    auto connection = options_.connect(services, environment);
    const auto resolve = applied_ ? migrate::resolve_applied : migrate::resolve_rolled_back;
    resolve(source, connection, name, options_.running(services, environment), services.reporter(), services.limits());
    return {Exit::ok, fmt::format("marked {}\n", what), {}, true};
  }

 private:
  MigrateOptions options_;
  std::optional<std::string> applied_, rolled_back_;
};

}  // namespace

std::unique_ptr<Command> make_migrate_baseline() { return std::make_unique<MigrateBaseline>(); }
std::unique_ptr<Command> make_migrate_resolve() { return std::make_unique<MigrateResolve>(); }

}  // namespace codops::commands
