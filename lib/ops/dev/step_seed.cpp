// The seed: once, for a database that was empty, and never over rows that somebody made.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/ops/dev/seed_rows.hpp"
#include "lib/ops/dev/steps.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;
namespace pg = io::postgres;

bool is_empty(pg::Connection& connection, const Limits& limits) {
  return !connection.query("SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND "
                           "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%')", limits).boolean(0, 0);
}

bool is_seed(const Context& context, const std::string& identity, std::string_view note) {
  const auto known = context.ledger.find("seed");
  return known && known->inputs == identity && known->note == note;
}

// Are the rows that are there those that the migrations brought, and nobody's else?
bool has_no_data(const Context& context, pg::Connection& connection, const Limits& limits) {
  const auto known = context.ledger.find(rows_before_seed);
  return rows_of(connection, limits) == (known ? known->inputs : std::string{});
}

std::string seed_by_hand(const Context& context) {
  std::string text;
  for (const auto& command : context.workspace.environment.setup_dev.seed) {
    const auto where = command.directory.empty() ? std::string{} : fmt::format("cd {} && ", command.directory);
    text += fmt::format("{}({}{})", text.empty() ? "" : " && ", where, fmt::join(command.run, " "));
  }
  return text;
}

// Rows go into what the seed's own command sees: where that is not the checkout's own database, it doesn't run.
std::string why_not_seeded(const Context& context, const Limits& limits) {
  const auto& workspace = context.workspace;
  for (const auto& command : workspace.environment.setup_dev.seed) {
    if (auto other = sees_another(workspace, command.directory); !other.empty()) return other;
  }
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    if (store->wanted && !is_own_now(workspace, *store, limits)) return fmt::format("what is on {}:{} is not this checkout's own {}", store->host, store->port, store->name);
  }
  return {};
}

Finding look_at_seed(const Context& context, const Limits& limits) {
  if (auto other = why_not_seeded(context, limits); !other.empty()) {
    context.reporter.note(fmt::format("seed: not run: {}; by hand: {}", other, seed_by_hand(context)));
    return {true, "not run: " + other, "by hand: " + seed_by_hand(context), {}};
  }
  auto connection = context.connection.take(context.workspace.database(), limits.within(database_connect_time));
  const auto identity = database_identity(connection, limits);
  const bool migrated = !context.workspace.migrations.empty() && context.workspace.migrations.front().own;
  const bool empty = !migrated && !context.ledger.is("seed", identity) && is_empty(connection, limits);
  const bool due = is_seed(context, identity, "due"), begun = is_seed(context, identity, "begun");
  const bool no_data = (due || begun) && has_no_data(context, connection, limits);
  context.connection.keep(std::move(connection));
  if (empty) return {false, "the database is empty", {}, {}};
  if (no_data) return {false, due ? "is due: the database has no data" : "began once, did not end, and left no data", {}, {}};
  if (due || begun) {
    const auto why = due ? "not run: the database has data of somebody's by now" : "began once and did not end: what it wrote may be half of it";
    const auto hint = fmt::format("by hand: {}; anew, without any of the data: codops setup-dev --reset", seed_by_hand(context));
    context.reporter.note(fmt::format("seed: {}; {}", why, hint));
    return {true, why, hint, {}};
  }
  return {true, is_seed(context, identity, "done") ? "done" : "not due: the database was there before", {}, {}};
}

std::string run_seed(const Context& context, const Progress& progress, const Limits& limits) {
  auto connection = pg::Connection::open(context.workspace.database(), limits.within(database_connect_time));
  const auto identity = database_identity(connection, limits);
  context.ledger.put("seed", {identity, "begun"});
  for (const auto& command : context.workspace.environment.setup_dev.seed) run_tool(context, command.run, command.directory, progress, limits);
  context.ledger.put("seed", {identity, "done"});
  return fmt::format("{}", fmt::join(context.workspace.environment.setup_dev.seed.front().run, " "));
}

}  // namespace

// A seed is due from before the first migration of an empty database until it has run: whatever dies in between, it comes.
bool note_seed(const Context& context, pg::Connection& connection, const Limits& limits) {
  if (!context.workspace.environment.setup_dev.seed.empty() && is_empty(connection, limits)) {
    context.ledger.drop(rows_before_seed);
    context.ledger.put("seed", {database_identity(connection, limits), "due"});
  }
  return is_seed(context, database_identity(connection, limits), "due") && has_no_data(context, connection, limits);
}

void add_seed(const Context& context, Steps& steps) {
  const auto& workspace = context.workspace;
  if (workspace.environment.setup_dev.seed.empty()) return;
  std::vector<std::string> needs{"database"};
  for (const auto& plan : workspace.migrations) needs.push_back(plan.step);
  if (workspace.redis.wanted) needs.push_back(workspace.redis.name);
  for (const auto& name : install_steps(workspace)) needs.push_back(name);
  for (const auto& name : generate_steps(workspace)) needs.push_back(name);
  steps.push_back({"seed", needs, [&context](const Limits& limits) { return look_at_seed(context, limits); },
                   [&context](const Progress& progress, const Limits& limits) { return run_seed(context, progress, limits); }});
}

}  // namespace codops::ops::dev
