#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands/migrate.hpp"
#include "commands/migrate_options.hpp"
#include "lib/base/units.hpp"

namespace codops::commands {

namespace {

class MigrateDown final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    options_.declare_version(parameters);
    options_.declare_files(parameters);
    options_.declare_database(parameters);
    options_.declare_running(parameters);
    parameters.number("--steps", "N", steps_, "how many to take back (1)");
    parameters.option("--to", "NAME", to_, "takes back all after this one, which stays");
  }

  Result run(Services& services) override {
    if (steps_ && to_) throw Failure{Exit::usage, "--steps and --to exclude each other"};
    if (steps_ && *steps_ < 1) throw Failure{Exit::usage, "--steps takes a number from 1"};
    const auto environment = options_.environment(services);
    const auto source = options_.source(services, environment);
    const auto what = to_ ? fmt::format("every migration after \"{}\"", *to_) : fmt::format("the last {} migrations", steps_.value_or(1));
    if (services.options().dry_run) return {Exit::ok, fmt::format("would take back {} of {}\n", what, environment.name), {}};
    if (!services.confirm(fmt::format("take back {} of {}? Their down scripts may drop data", what, environment.name))) {
      return {Exit::failed, "nothing was taken back\n", {}};
    }
    auto connection = options_.connect(services, environment);
    const auto outcome = migrate::down(source, connection, static_cast<std::size_t>(steps_.value_or(1)), to_.value_or(""),
                                       options_.running(services, environment), services.reporter(), services.limits());
    std::string text;
    nlohmann::ordered_json names = nlohmann::ordered_json::array();
    for (const auto& one : outcome.applied) {
      text += fmt::format("  ✓ {} taken back   {}\n", one.name, format_duration(one.took));
      names.push_back(one.name);
    }
    return {Exit::ok, text.empty() ? "nothing to take back\n" : text, nlohmann::ordered_json{{"taken_back", names}}.dump(), true};
  }

 private:
  MigrateOptions options_;
  std::optional<std::int64_t> steps_;
  std::optional<std::string> to_;
};

}  // namespace

std::unique_ptr<Command> make_migrate_down() { return std::make_unique<MigrateDown>(); }

}  // namespace codops::commands
