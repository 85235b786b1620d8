#include "commands/migrate.hpp"
#include "commands/migrate_options.hpp"
#include "lib/migrate/analysis.hpp"

namespace codops::commands {

namespace {

class MigratePlan final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    options_.declare_version(parameters);
    options_.declare_files(parameters);
    options_.declare_database(parameters);
    parameters.option("--to", "NAME", until_, "stops behind this one");
  }

  Result run(Services& services) override {
    const auto environment = options_.environment(services);
    const auto source = options_.source(services, environment);
    auto running = options_.running(services, environment);
    running.until = until_.value_or("");
    auto connection = options_.connect(services, environment);
    const auto plan = migrate::plan(migrate::pending(source, connection, running, services.limits()), connection, true, services.limits());
    return {Exit::ok, migrate::to_text(plan), migrate::to_json(plan)};
  }

 private:
  MigrateOptions options_;
  std::optional<std::string> until_;
};

}  // namespace

std::unique_ptr<Command> make_migrate_plan() { return std::make_unique<MigratePlan>(); }

}  // namespace codops::commands
