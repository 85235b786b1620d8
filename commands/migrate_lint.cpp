#include <fmt/format.h>

#include <algorithm>

#include "commands/migrate.hpp"
#include "commands/migrate_options.hpp"
#include "lib/migrate/analysis.hpp"
#include "lib/migrate/lint.hpp"

namespace codops::commands {

namespace {

class MigrateLint final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    options_.declare_version(parameters);
    options_.declare_files(parameters);
    options_.declare_database(parameters);
    parameters.flag("--all", all_, "every file, not only what is pending in the database");
    parameters.option("--since", "NAME", since_, "the files behind this one; needs no database");
    parameters.flag("--strict", strict_, "warnings fail too (exit 65); else only errors of unfit files do");
    parameters.flag("--timeouts", timeouts_, "also miss lock_timeout and statement_timeout in files");
    parameters.formats({"sarif"});
  }

  Result run(Services& services) override {
    const auto environment = options_.environment(services);
    std::vector<migrate::Finding> findings;
    const auto source = options_.source(services, environment);
    std::optional<io::postgres::Connection> connection;
    const auto migrations = chosen(services, environment, source, connection);
    migrate::LintOptions rules{timeouts_, migrate::constrained_domains(source.migrations), {}};
    if (connection) rules.absent = [&](const migrate::Name& table) { return !migrate::has_table(*connection, table, services.limits()); };
    for (const auto& migration : migrations) {
      auto found = migrate::lint(migration, rules);
      findings.insert(findings.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    }
    const bool unfit = std::any_of(findings.begin(), findings.end(), [](const migrate::Finding& finding) { return finding.rule == "unfit-file"; });
    const bool fails = unfit || ((strict_ || environment.migrate.strict) && migrate::open_findings(findings, migrate::Severity::warning) > 0);
    const auto exit = fails ? Exit::data : Exit::ok;
    if (services.options().format == "sarif") return {exit, migrate::to_sarif(findings, options_.shown_folder(environment), "1") + "\n", {}};
    return {exit, migrate::to_text(findings), migrate::to_json(findings)};
  }

 private:
  std::vector<migrate::Migration> chosen(Services& services, const settings::Environment& environment, const migrate::Source& source,
                                         std::optional<io::postgres::Connection>& connection) {
    if (all_) return source.migrations;
    if (since_) {
      const auto found = std::find_if(source.migrations.begin(), source.migrations.end(),
                                      [&](const migrate::Migration& migration) { return migration.name == *since_ || migration.key == *since_; });
      if (found == source.migrations.end()) throw Failure{Exit::usage, fmt::format("there is no migration \"{}\"", *since_)};
      return {std::next(found), source.migrations.end()};
    }
    connection = options_.connect(services, environment);
    return migrate::pending(source, *connection, options_.running(services, environment), services.limits());
  }

  MigrateOptions options_;
  std::optional<std::string> since_;
  bool all_{}, strict_{}, timeouts_{};
};

}  // namespace

std::unique_ptr<Command> make_migrate_lint() { return std::make_unique<MigrateLint>(); }

}  // namespace codops::commands
