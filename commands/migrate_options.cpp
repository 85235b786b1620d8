#include "commands/migrate_options.hpp"

#include <fmt/format.h>

#include "commands/host.hpp"
#include "lib/migrate/folders.hpp"

namespace codops::commands {

namespace fs = std::filesystem;

void MigrateOptions::declare_environment(Parameters& parameters) { parameters.positional("ENV", environment_, "the environment"); }

void MigrateOptions::declare_version(Parameters& parameters) {
  parameters.positional("VERSION", version_, "reads the migrations out of this version's image, as deploy does; else from the checkout", false);
}

void MigrateOptions::declare_files(Parameters& parameters) {
  parameters.option("--folder", "PATH", folder_, "the migrations folder; else migrate.path, or where it usually is");
  parameters.choice("--source", {"auto", "prisma", "dbmate", "golang-migrate", "flyway"}, source_, "whose files they are; else by their shape");
}

void MigrateOptions::declare_database(Parameters& parameters) {
  parameters.option("--database-url-env", "NAME", url_variable_, "the variable that has the database's URL");
  parameters.duration("--wait", wait_, "how long to wait for the database while it starts (30s)");
}

void MigrateOptions::declare_running(Parameters& parameters) {
  parameters.duration("--lock-wait", lock_wait_, "how long to wait for another run of migrations");
  parameters.duration("--lock-timeout", lock_timeout_, "how long a statement waits for a table's lock before it is tried again");
  parameters.duration("--statement-timeout", statement_timeout_, "how long a statement may run");
  parameters.flag("--allow-invalid-utf8", allow_invalid_utf8_, "puts U+FFFD where a file has other bytes, as Prisma does");
}

fs::path MigrateOptions::folder(const settings::Environment& environment) const {
  if (folder_) return fs::absolute(*folder_);
  if (!environment.migrate.path.empty()) return environment.directory / environment.migrate.path;
  for (const auto* candidate : migrate::usual_folders) {
    if (fs::is_directory(environment.directory / candidate)) return environment.directory / candidate;
  }
  throw Failure{Exit::config, fmt::format("no migrations folder is found in {}", environment.directory.string()), fmt::format("migrate: {{path: PATH}} in codops.yaml, --folder PATH, or out of an image: codops migrate VERB {} VERSION", environment.name)};
}

std::string MigrateOptions::shown_folder(const settings::Environment& environment) const {
  const auto path = folder(environment);
  const auto relative = path.lexically_relative(environment.directory);
  return relative.empty() || relative.string().starts_with("..") ? path.string() : relative.string();
}

migrate::Source MigrateOptions::source(Services& services, const settings::Environment& environment) const {
  if (!version_.empty()) {
    if (folder_) throw Failure{Exit::usage, "VERSION and --folder exclude each other"};
    ops::Host host{environment, services.settings_sources().variables, services.reporter(), services.clock()};
    return migrate::recognise(ops::migrations_of_version(host, version_, !services.options().dry_run, services.limits()),
                              migrate::layout_named(source_.value_or(environment.migrate.source)));
  }
  return migrate::recognise(migrate::read_folder(folder(environment)), migrate::layout_named(source_.value_or(environment.migrate.source)));
}

migrate::Source MigrateOptions::source_to_add_to(Services& services, const settings::Environment& environment) const {
  const auto where = folder(environment);
  if (fs::exists(where)) return source(services, environment);
  const auto layout = migrate::layout_named(source_.value_or(environment.migrate.source));
  if (layout) return migrate::recognise({}, layout);
  throw Failure{Exit::data, fmt::format("there is no migrations folder \"{}\"", where.string()), "for the first migration name the tool, and the folder is made: --source prisma, dbmate, golang-migrate or flyway"};
}

migrate::Options MigrateOptions::running(Services& services, const settings::Environment& environment) const {
  migrate::Options options;
  options.lock_wait = lock_wait_.value_or(environment.migrate.lock_wait);
  options.lock_timeout = lock_timeout_.value_or(environment.migrate.lock_timeout);
  options.statement_timeout = statement_timeout_.value_or(environment.migrate.statement_timeout);
  options.allow_invalid_utf8 = allow_invalid_utf8_;
  options.subject = subject();
  const auto disabled = services.variable("PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK");
  options.take_lock = !migrate::lock_disabled_by(disabled ? disabled->c_str() : nullptr);
  return options;
}

io::postgres::Connection MigrateOptions::connect(Services& services, const settings::Environment& environment) {
  database_ = reach_database(services, environment, url_variable_);
  return io::postgres::Connection::open_when_ready(database_->target, services.limits().within(wait_.value_or(Milliseconds{30'000})));
}

}  // namespace codops::commands
