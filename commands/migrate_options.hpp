#pragma once
// What the migrate verbs share: where the files are, which database, how to run.
#include <filesystem>
#include <optional>
#include <string>

#include "commands/command.hpp"
#include "commands/services.hpp"
#include "lib/migrate/migrate.hpp"

namespace codops::commands {

class MigrateOptions {
 public:
  void declare_environment(Parameters& parameters);
  void declare_files(Parameters& parameters);     // --folder, --source
  void declare_database(Parameters& parameters);  // --database-url-env
  void declare_running(Parameters& parameters);   // --lock-wait, --lock-timeout, …

  settings::Environment environment(Services& services) const { return services.environment(environment_); }
  const std::string& environment_name() const { return environment_; }
  // The folder relative to the project, and its files.
  std::filesystem::path folder(const settings::Environment& environment) const;
  std::string shown_folder(const settings::Environment& environment) const;
  migrate::Source source(const settings::Environment& environment) const;
  migrate::Options running(Services& services, const settings::Environment& environment) const;
  // Waits for the database while it starts, for at most --wait.
  io::postgres::Connection connect(Services& services, const settings::Environment& environment) const;
  const std::optional<std::string>& url_variable() const { return url_variable_; }

 private:
  std::string environment_;
  std::optional<std::string> folder_, source_, url_variable_;
  std::optional<Milliseconds> lock_wait_, lock_timeout_, statement_timeout_, wait_;
  bool allow_invalid_utf8_{};
};

}  // namespace codops::commands
