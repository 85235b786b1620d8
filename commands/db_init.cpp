#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands/database.hpp"
#include "commands/host.hpp"
#include "commands/migrate.hpp"
#include "lib/migrate/provision.hpp"

namespace codops::commands {

namespace {

class DbInit final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.option("--database-url-env", "NAME", url_variable_, "the variable that has the database's URL");
    parameters.option("--admin-url-env", "NAME", admin_variable_, "the variable that has the URL of a role that may create roles and databases; else the database's own");
    parameters.duration("--wait", wait_, "how long to wait for the server while it starts (60s)");
    parameters.flag("--print", print_, "prints the SQL, without the password, and connects to nothing");
  }

  Result run(Services& services) override {
    const auto environment = services.environment(environment_);
    const auto target = database_target(services, environment, url_variable_);
    migrate::Provision wanted;
    wanted.database = environment.database.name.empty() ? target.database : environment.database.name;
    wanted.owner = environment.database.owner.empty() ? target.user : environment.database.owner;
    if (wanted.owner == target.user) wanted.owner_password = target.password;
    wanted.extensions = environment.database.extensions;
    if (wanted.database.empty()) throw Failure{Exit::config, "the database's URL names no database", "postgresql://user:password@host:5432/NAME"};
    if (print_ || services.options().dry_run) return {Exit::ok, migrate::to_sql(wanted, migrate::provision_steps(wanted)), {}};

    require_consent(services, environment_, fmt::format("make what is missing of \"{}\" of {} (role, database, extensions, grants)?", wanted.database, environment_));
    const auto reached = reach_database(services, environment, admin_variable_ ? admin_variable_ : url_variable_);
    auto admin = reached.target;
    if (!admin_variable_) admin.database = "postgres";
    if (admin.database.empty()) admin.database = "postgres";
    admin.schema.clear();
    const auto outcome = migrate::provision(wanted, admin, services.reporter(), services.limits().within(wait_.value_or(Milliseconds{60'000})));
    if (admin_variable_) require_login(services, environment);
    std::string text;
    for (const auto& what : outcome.made) text += fmt::format("  + {}\n", what);
    for (const auto& what : outcome.unchanged) text += fmt::format("  = {}\n", what);
    return {Exit::ok, text, nlohmann::ordered_json{{"made", outcome.made}, {"unchanged", outcome.unchanged}}.dump(), true};
  }

 private:
  // A role that was there already keeps its password, and may have none that the URL knows.
  void require_login(Services& services, const settings::Environment& environment) {
    try {
      const auto own = reach_database(services, environment, url_variable_);
      io::postgres::Connection::open(own.target, services.limits());
    } catch (const Failure& error) {
      services.reporter().warn(fmt::format("what was missing is made, but the URL's own login fails: {}; ALTER ROLE … LOGIN PASSWORD … sets it", error.message()));
    }
  }

  std::string environment_;
  std::optional<std::string> url_variable_, admin_variable_;
  std::optional<Milliseconds> wait_;
  bool print_{};
};

}  // namespace

std::unique_ptr<Command> make_db_init() { return std::make_unique<DbInit>(); }

}  // namespace codops::commands
