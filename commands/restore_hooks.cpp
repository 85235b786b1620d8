#include "commands/restore_hooks.hpp"

#include <fmt/format.h>

#include "commands/health_environment.hpp"
#include "commands/host.hpp"
#include "commands/migrate_options.hpp"
#include "lib/health/run.hpp"

namespace codops::commands {

RestoreWiring::RestoreWiring(Services& services, const settings::Environment& environment, const backup::Subject& subject, RestoreWays ways)
    : services_{services}, environment_{environment}, subject_{subject}, ways_{std::move(ways)} {}

backup::RestoreHooks RestoreWiring::hooks() {
  backup::RestoreHooks hooks;
  if (ways_.application == "stop") {
    host_ = open_host(services_, environment_.name);
    rest_ = std::make_unique<ops::ApplicationRest>(*host_, "restore " + environment_.name);
    hooks.stop = [this](const Limits& limits) { rest_->stop(limits); };
    hooks.start = [this](const Limits& limits) { rest_->start(limits); };
  }
  if (ways_.migrate) hooks.migrate = [this](const io::postgres::Target& fresh, const Limits& limits) { return migrate(fresh, limits); };
  if (ways_.health) hooks.health = [this](const Limits& limits) { return unwell(limits); };
  return hooks;
}

// The application that runs was written for the schema that is live: what was applied there and is not in the backup is
// applied to the new database, and nothing beyond that.
std::string RestoreWiring::migrate(const io::postgres::Target& fresh, const Limits& limits) {
  MigrateOptions options;
  migrate::Source source;
  try {
    source = options.source(services_, environment_);
  } catch (const Failure& failure) {
    if (failure.code() == Exit::config || failure.code() == Exit::data) return "no migrations here";
    throw;
  }
  auto live_target = subject_.database;
  std::string last;
  try {
    auto live = io::postgres::Connection::open(live_target, limits);
    for (const auto& item : migrate::status(source, live, false, limits).items) {
      if (item.state == migrate::State::applied) last = item.name;
    }
  } catch (const io::postgres::DatabaseError& error) {
    if (error.lost() && error.code() != Exit::config) throw;
    return "there is no live database whose schema it could follow";
  }
  if (last.empty()) return "the live database has no history of migrations";
  auto target = fresh;
  target.schema = subject_.database.schema;
  auto connection = io::postgres::Connection::open(target, limits);
  const auto before = migrate::status(source, connection, false, limits);
  if (!before.has_history) return "the backup has no history of migrations: its schema stays as it is";
  auto running = options.running(services_, environment_);
  running.until = last;
  const auto outcome = migrate::apply(source, connection, running, services_.reporter(), limits);
  return outcome.applied.empty() ? std::string{"up to date"} : fmt::format("{} applied", outcome.applied.size());
}

std::string RestoreWiring::unwell(const Limits& limits) {
  const auto bounded = limits.within(environment_.backup.restore_health_timeout);
  try {
    return asked(bounded);
  } catch (const Failure& failure) {
    // The restore is done, whatever the checks are worth.
    limits.check("the health check");
    return "could not find out: " + failure.message();
  }
}

std::string RestoreWiring::asked(const Limits& bounded) {
  auto found = checks_of(services_, environment_, bounded);
  // Whether a backup is fresh, or a disk full, says nothing about the restore.
  std::erase_if(found.checks, [](const auto& check) {
    const auto kind = health::kind_of(check);
    return kind == "backup" || kind == "disk";
  });
  if (found.checks.empty()) return {};
  health::Options options;
  options.settle = [&found](health::Report report) { return health::keep_offered(std::move(report), found.alternatives); };
  const auto report = health::wait_until_healthy(found.checks, options, bounded);
  if (report.healthy()) return {};
  std::string text;
  for (const auto& outcome : report.outcomes) {
    if (outcome.status != health::Status::fail && outcome.status != health::Status::unknown) continue;
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", outcome.name, outcome.message);
  }
  return text.empty() ? "the checks did not end in time" : text;
}

}  // namespace codops::commands
