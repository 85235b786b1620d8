// Migrations: each folder's, in the database that it is for.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/migrate/migrate.hpp"
#include "lib/ops/dev/seed_rows.hpp"
#include "lib/ops/dev/steps.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;
namespace pg = io::postgres;

std::vector<std::string> names_in(const migrate::Ledger& ledger, const std::vector<migrate::State>& states) {
  std::vector<std::string> names;
  for (const auto& item : ledger.items) {
    if (std::find(states.begin(), states.end(), item.state) != states.end()) names.push_back(fmt::format("\"{}\"", item.name));
  }
  return names;
}

migrate::Source source_of(const Workspace& workspace, const MigrationPlan& plan) {
  return migrate::recognise(migrate::read_folder((workspace.project / plan.folder).string()), migrate::layout_named(workspace.environment.migrate.source));
}

// Of another database a connection is not kept: one is all that a check without anything to do pays for.
pg::Connection open_for(const Context& context, const MigrationPlan& plan, const Limits& limits) {
  if (plan.own) return context.connection.take(context.workspace.database(), limits.within(database_connect_time));
  return pg::Connection::open(context.workspace.database_of(plan), limits.within(database_connect_time));
}

Finding look_at_migrations(const Context& context, const MigrationPlan& plan, const Limits& limits) {
  require_own_database(context, limits);
  auto connection = open_for(context, plan, limits);
  const auto ledger = migrate::status(source_of(context.workspace, plan), connection, true, limits);
  if (plan.own) context.connection.keep(std::move(connection));
  using migrate::State;
  const auto pending = ledger.count(State::pending) + ledger.count(State::unfinished);
  const auto failed = ledger.count(State::failed);
  const auto edited = ledger.count(State::edited), missing = ledger.count(State::missing);
  if (edited + missing != 0) {
    const auto names = names_in(ledger, {State::edited, State::missing});
    throw Failure{Exit::data, fmt::format("{} {} applied, and {} since: {}", fmt::join(names, ", "), names.size() == 1 ? "was" : "were",
                                          edited == 0 ? "the file is gone" : missing == 0 ? "the file was changed" : "files were changed or are gone", "the database and the files differ"),
                  fmt::format("codops migrate status {}; put the files back as they were, and write a new migration for the change", plan.subject)};
  }
  if (pending + failed == 0) return {true, fmt::format("up to date ({})", ledger.items.size()), {}, {}};
  return {false, fmt::format("{} pending{}", pending, failed == 0 ? "" : fmt::format(", {} failed", failed)), {}, {}};
}

class Forwarding final : public Reporter {
 public:
  explicit Forwarding(const Progress& progress) : progress_{progress} {}
  void report(const Event& event) override {
    if (!event.text.empty()) progress_(event.text);
  }

 private:
  const Progress& progress_;
};

std::string run_migrations(const Context& context, const MigrationPlan& plan, const Progress& progress, const Limits& limits) {
  const auto& settings = context.workspace.environment.migrate;
  auto connection = pg::Connection::open(context.workspace.database_of(plan), limits.within(database_connect_time));
  const bool seed_is_due = plan.own && note_seed(context, connection, limits);
  migrate::Options options;
  options.subject = plan.subject;
  options.lock_wait = settings.lock_wait;
  options.lock_timeout = settings.lock_timeout;
  options.statement_timeout = settings.statement_timeout;
  Forwarding reporter{progress};
  const auto outcome = migrate::apply(source_of(context.workspace, plan), connection, options, reporter, limits);
  // A migration may bring rows: they are no reason against the seed.
  if (seed_is_due) context.ledger.put(rows_before_seed, {rows_of(connection, limits), {}});
  if (outcome.applied.empty()) return "up to date";
  return fmt::format("{} applied, the last is {}", outcome.applied.size(), outcome.applied.back().name);
}

}  // namespace

void add_migrations(const Context& context, Steps& steps) {
  for (const auto& plan : context.workspace.migrations) {
    steps.push_back({plan.step, {plan.server.empty() ? "database" : plan.server}, [&context, &plan](const Limits& limits) { return look_at_migrations(context, plan, limits); },
                     [&context, &plan](const Progress& progress, const Limits& limits) { return run_migrations(context, plan, progress, limits); }});
  }
}

}  // namespace codops::ops::dev
