#pragma once
// What the migrate verbs share: where the files are, which database, how to run.
#include <filesystem>
#include <optional>
#include <string>

#include "commands/command.hpp"
#include "commands/database.hpp"
#include "commands/services.hpp"
#include "lib/migrate/migrate.hpp"

namespace codops::commands {

class MigrateOptions {
 public:
  void declare_environment(Parameters& parameters);
  void declare_version(Parameters& parameters);   // VERSION: files out of its image
  void declare_files(Parameters& parameters);     // --folder, --source
  void declare_database(Parameters& parameters);  // --database-url-env
  void declare_running(Parameters& parameters);   // --lock-wait, --lock-timeout, …

  settings::Environment environment(Services& services) const { return services.environment(environment_); }
  const std::string& environment_name() const { return environment_; }
  // The folder relative to the project, and its files.
  std::filesystem::path folder(const settings::Environment& environment) const;
  std::string shown_folder(const settings::Environment& environment) const;
  // Out of the image of VERSION, as deploy reads them; else of the checkout.
  migrate::Source source(Services& services, const settings::Environment& environment) const;
  // The same for a new one, the first of all too: then the layout has to be named.
  migrate::Source source_to_add_to(Services& services, const settings::Environment& environment) const;
  // What follows the verb in a command that a hint names: "production v1.2.0".
  std::string subject() const { return version_.empty() ? environment_ : environment_ + " " + version_; }
  migrate::Options running(Services& services, const settings::Environment& environment) const;
  // Waits for the database while it starts, for at most --wait.
  io::postgres::Connection connect(Services& services, const settings::Environment& environment);
  const std::string& database_shown() const { return database_->shown; }  // once connected

 private:
  std::string environment_, version_;
  std::optional<std::string> folder_, source_, url_variable_;
  std::optional<Milliseconds> lock_wait_, lock_timeout_, statement_timeout_, wait_;
  bool allow_invalid_utf8_{};
  std::optional<ReachedDatabase> database_;
};

}  // namespace codops::commands
