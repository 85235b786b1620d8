#include "commands/migrate.hpp"
#include "commands/migrate_options.hpp"
#include "lib/migrate/verify.hpp"

namespace codops::commands {

namespace {

class MigrateVerify final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    options_.declare_version(parameters);
    options_.declare_files(parameters);
    options_.declare_database(parameters);
    parameters.flag("--no-privileges", no_privileges_, "leaves owners, grants and default privileges out of the comparison");
  }

  Result run(Services& services) override {
    const auto environment = options_.environment(services);
    const auto source = options_.source(services, environment);
    auto connection = options_.connect(services, environment);
    migrate::Provision provision;
    provision.owner = environment.database.owner.empty() ? connection.target().user : environment.database.owner;
    provision.extensions = environment.database.extensions;
    const auto found = migrate::verify(source, connection, provision, !no_privileges_, options_.running(services, environment), services.reporter(), services.limits());
    return {found.differences.empty() ? Exit::ok : Exit::unhealthy, migrate::to_text(found), migrate::to_json(found)};
  }

 private:
  MigrateOptions options_;
  bool no_privileges_{};
};

}  // namespace

std::unique_ptr<Command> make_migrate_verify() { return std::make_unique<MigrateVerify>(); }

}  // namespace codops::commands
