// baseline and resolve: the history is corrected, no script runs.
#include <fmt/format.h>

#include <algorithm>

#include "lib/migrate/script_error.hpp"
#include "lib/migrate/session.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

const Migration& named(const Source& source, const std::string& name) {
  for (const auto& migration : source.migrations) {
    if (migration.name == name || migration.key == name) return migration;
  }
  std::vector<std::string> names;
  for (const auto& migration : source.migrations) names.push_back(migration.name);
  const auto near = nearest(name, names);
  throw Failure{Exit::usage, fmt::format("there is no migration \"{}\" (P3017)", name), near.empty() ? "" : fmt::format("did you mean \"{}\"?", near)};
}

Attempt attempt_now(pg::Connection& connection, const Limits& limits) {
  return new_attempt(std::string{connection.query("SELECT clock_timestamp()", limits).text(0, 0)});
}

void in_transaction(pg::Connection& connection, const std::string& sql, const Limits& limits) {
  connection.run("BEGIN; " + sql + " COMMIT", limits);
}

std::vector<Entry> entries_of(const std::vector<Entry>& all, const std::string& key) {
  std::vector<Entry> result;
  std::copy_if(all.begin(), all.end(), std::back_inserter(result), [&](const Entry& entry) { return entry.key == key; });
  return result;
}

}  // namespace

std::vector<std::string> baseline(const Source& source, pg::Connection& connection, const std::string& until, const Options& options,
                                  Reporter& reporter, const Limits& limits) {
  if (!until.empty()) named(source, until);
  const auto history = history_for(source.layout, connection, limits);
  Session session{connection, options, reporter, limits};
  session.lock(*history);
  const bool present = history->present(connection, limits);
  const auto ledger = evaluate(source, present ? history->read(connection, limits) : std::vector<Entry>{}, history.get(), false);
  std::string sql = present ? "" : history->create(connection, limits) + "\n";
  std::vector<std::string> marked;
  for (const auto& item : ledger.items) {
    if (item.index >= source.migrations.size()) continue;
    const auto& migration = source.migrations[item.index];
    if (item.state == State::pending) {
      sql += history->marked_applied(migration, attempt_now(connection, limits)) + "\n";
      marked.push_back(migration.name);
    } else if (item.state == State::failed || item.state == State::unfinished) {
      throw Failure{Exit::failed, fmt::format("migration \"{}\" is recorded as failed (P3009)", migration.name),
                    fmt::format("codops migrate resolve {} --applied {}", options.subject, shell_word(migration.name))};
    }
    if (!until.empty() && (migration.name == until || migration.key == until)) break;
  }
  in_transaction(connection, sql, limits);
  return marked;
}

bool begin_history(const Source& source, pg::Connection& connection, const Options& options, Reporter& reporter, const Limits& limits) {
  const auto history = history_for(source.layout, connection, limits);
  Session session{connection, options, reporter, limits};
  session.lock(*history);
  if (history->present(connection, limits)) return false;
  in_transaction(connection, history->create(connection, limits), limits);
  return true;
}

void resolve_applied(const Source& source, pg::Connection& connection, const std::string& name, const Options& options, Reporter& reporter,
                     const Limits& limits) {
  const auto& migration = named(source, name);
  const auto history = history_for(source.layout, connection, limits);
  Session session{connection, options, reporter, limits};
  session.lock(*history);
  const bool present = history->present(connection, limits);
  const auto entries = present ? history->read(connection, limits) : std::vector<Entry>{};
  const auto own = entries_of(entries, migration.key);
  bool applied = std::any_of(own.begin(), own.end(), [](const Entry& entry) { return entry.applied(); });
  std::vector<std::string> skipped;
  for (const auto& item : evaluate(source, entries, history.get(), false).items) {
    if (item.key == migration.key) {
      applied = applied || item.state == State::applied;
      break;
    }
    if (item.state != State::applied) skipped.push_back(item.name);
  }
  if (applied) throw Failure{Exit::failed, fmt::format("migration \"{}\" is already recorded as applied (P3008)", migration.name)};
  // Its one row says of all below it that they are applied.
  if (source.layout == Layout::golang_migrate && !skipped.empty()) {
    throw Failure{Exit::failed, fmt::format("golang-migrate's table can't say that \"{}\" is applied and \"{}\" before it is not", migration.name, fmt::join(skipped, "\", \"")),
                  fmt::format("apply those first; or, when the effects of all of them are there: codops migrate baseline {} --to {}", options.subject, shell_word(migration.name))};
  }
  const auto sql = present ? "" : history->create(connection, limits) + "\n";
  in_transaction(connection, sql + history->marked_applied(migration, attempt_now(connection, limits)), limits);
}

void resolve_rolled_back(const Source& source, pg::Connection& connection, const std::string& name, const Options& options, Reporter& reporter,
                         const Limits& limits) {
  const auto history = history_for(source.layout, connection, limits);
  Session session{connection, options, reporter, limits};
  session.lock(*history);
  // The file may be gone by now; the name in the history is enough.
  Migration migration;
  migration.key = migration.name = name;
  for (const auto& known : source.migrations) {
    if (known.name == name || known.key == name) migration = known;
  }
  const auto entries = history->present(connection, limits) ? entries_of(history->read(connection, limits), migration.key) : std::vector<Entry>{};
  if (entries.empty()) throw Failure{Exit::failed, fmt::format("migration \"{}\" was never attempted here (P3011)", name), "codops migrate status " + options.subject};
  if (std::none_of(entries.begin(), entries.end(), [](const Entry& entry) { return entry.failed(); })) {
    throw Failure{Exit::failed, fmt::format("migration \"{}\" is not in a failed state (P3012)", name), "codops migrate status " + options.subject};
  }
  in_transaction(connection, history->marked_rolled_back(migration, source), limits);
}

}  // namespace codops::migrate
