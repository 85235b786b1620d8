#include "lib/migrate/migrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lib/base/units.hpp"
#include "lib/migrate/runner.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

// P3009: a row that neither tool can continue.
void require_no_failures(const Ledger& ledger, const std::string& subject) {
  for (const auto& item : ledger.items) {
    if (item.state != State::failed) continue;
    std::string logs = item.entry ? printable(item.entry->logs.substr(0, item.entry->logs.find('\n'))) : "";
    if (!logs.empty()) logs = ": " + logs;
    throw Failure{Exit::failed,
                  fmt::format("migration \"{}\" is recorded as failed{}{} (P3009)", printable(item.name),
                              item.entry && !item.entry->started_at.empty() ? ", begun " + item.entry->started_at : "", logs),
                  fmt::format("when its effects are undone: codops migrate resolve {1} --rolled-back {0}; when they are complete: "
                              "codops migrate resolve {1} --applied {0}",
                              shell_word(item.name), subject)};
  }
}

// golang-migrate's one row says where the schema is, and nothing else does: with no file of that version nothing is known.
void require_known_version(const Ledger& ledger, const std::string& subject) {
  if (ledger.layout != Layout::golang_migrate) return;
  for (const auto& item : ledger.items) {
    if (item.state != State::missing) continue;
    throw Failure{Exit::data, fmt::format("the database is at version {}, and there is no file of that version", item.key),
                  fmt::format("deploy the version that has it, or restore the file; codops migrate status {} lists all", subject)};
  }
}

struct Job {
  const Migration* migration;
  std::optional<Progress> progress{};  // of an unfinished attempt
};

std::vector<Job> jobs_of(const Source& source, const Ledger& ledger, const History& history, const std::string& until) {
  std::vector<Job> jobs;
  bool found = until.empty();
  for (const auto& item : ledger.items) {
    if (item.state == State::missing || item.index >= source.migrations.size()) continue;
    const auto& migration = source.migrations[item.index];
    if (item.state == State::pending) jobs.push_back({&migration, {}});
    if (item.state == State::unfinished) jobs.push_back({&migration, history.progress_of(*item.entry)});
    if (!until.empty() && (migration.name == until || migration.key == until)) {
      found = true;
      break;
    }
  }
  if (!found) {
    std::vector<std::string> names;
    for (const auto& migration : source.migrations) names.push_back(migration.name);
    const auto near = nearest(until, names);
    throw Failure{Exit::usage, fmt::format("there is no migration \"{}\"", until), near.empty() ? "" : fmt::format("did you mean \"{}\"?", near)};
  }
  return jobs;
}

void report(Reporter& reporter, Event::Kind kind, const std::string& text, std::optional<Milliseconds> elapsed, std::size_t current, std::size_t total) {
  reporter.report({kind, "migrate", text, {}, elapsed, current, total});
}

Ledger ledger_of(const Source& source, const History& history, pg::Connection& connection, bool check_files, const Limits& limits) {
  const bool present = history.present(connection, limits);
  auto ledger = evaluate(source, present ? history.read(connection, limits) : std::vector<Entry>{}, &history, check_files);
  ledger.has_history = present;
  return ledger;
}

Milliseconds since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin);
}

Applied run_one(Session& session, const History& history, const Job& job, Script& script, bool followed) {
  const auto begin = std::chrono::steady_clock::now();
  const auto& migration = *job.migration;
  if (script.transactional && !job.progress) {
    const Recording recording{[&](const Attempt& attempt) { return history.applied(migration, attempt); },
                              [&](const Attempt& attempt, const std::string& logs) { return history.refused(migration, attempt, logs); }};
    if (run_whole(session, history, migration, script, recording, followed)) return {migration.name, since(begin), false};
    script.transactional = false;
    script.reason = "the server refuses it in a transaction";
  }
  if (!job.progress) {
    session.reporter().note(fmt::format("\"{}\" runs statement by statement: {}", migration.name, script.reason));
  }
  run_stepwise(session, history, migration, script, job.progress);
  return {migration.name, since(begin), true};
}

void run_jobs(Session& session, const History& history, const std::vector<Job>& jobs, Outcome& outcome) {
  // Every file is read and judged before the first one runs. Judging is cheap enough to be done again.
  const bool escapes = session.connection().parameter("standard_conforming_strings") == "off";
  std::vector<Migration> migrations;
  std::vector<bool> whole;
  migrations.reserve(jobs.size());
  for (const auto& job : jobs) {
    migrations.push_back(loaded(*job.migration));
    whole.push_back(prepare(migrations.back(), session.options().allow_invalid_utf8, escapes).transactional && !job.progress);
  }
  whole.push_back(false);
  outcome.applied.reserve(jobs.size());
  try {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      session.limits().check("migrating");
      auto script = prepare(migrations[i], session.options().allow_invalid_utf8, escapes);
      // The last one waits for the disk, which has all of them then.
      session.set_asynchronous(i + 1 < jobs.size());
      outcome.applied.push_back(run_one(session, history, {&migrations[i], jobs[i].progress}, script, whole[i + 1]));
      migrations[i].script = {};
      report(session.reporter(), Event::Kind::progress, migrations[i].name, outcome.applied.back().took, outcome.applied.size(), jobs.size());
    }
  } catch (...) {
    if (!outcome.applied.empty()) session.make_durable();
    throw;
  }
}

}  // namespace

bool lock_disabled_by(const char* value) { return value != nullptr && *value != '\0' && std::string_view{value} != "0"; }

Ledger status(const Source& source, pg::Connection& connection, bool check_files, const Limits& limits) {
  const auto history = history_for(source.layout, connection, limits);
  return ledger_of(source, *history, connection, check_files, limits);
}

std::vector<Migration> pending(const std::vector<File>& files, pg::Connection& connection, const Options& options, const Limits& limits) {
  return pending(recognise(files, options.layout), connection, options, limits);
}

std::vector<Migration> pending(const Source& source, pg::Connection& connection, const Options& options, const Limits& limits) {
  const auto history = history_for(source.layout, connection, limits);
  const auto ledger = ledger_of(source, *history, connection, false, limits);
  if (!ledger.has_history) history->require_creatable(connection, options.subject, limits);
  require_no_failures(ledger, options.subject);
  require_known_version(ledger, options.subject);
  std::vector<Migration> result;
  for (const auto& job : jobs_of(source, ledger, *history, options.until)) result.push_back(loaded(*job.migration));
  return result;
}

Outcome apply(const std::vector<File>& files, pg::Connection& connection, const Options& options, Reporter& reporter, const Limits& limits) {
  return apply(recognise(files, options.layout), connection, options, reporter, limits);
}

Outcome apply(const Source& source, pg::Connection& connection, const Options& options, Reporter& reporter, const Limits& limits) {
  const auto begin = std::chrono::steady_clock::now();
  const auto history = history_for(source.layout, connection, limits);
  Outcome outcome;
  outcome.layout = source.layout;

  // With nothing to do there is nothing to keep others from.
  auto ledger = ledger_of(source, *history, connection, false, limits);
  require_known_version(ledger, options.subject);
  if (ledger.has_history && ledger.count(State::failed) == 0 && jobs_of(source, ledger, *history, options.until).empty()) {
    outcome.took = since(begin);
    return outcome;
  }

  Session session{connection, options, reporter, limits};
  session.lock(*history);
  ledger = ledger_of(source, *history, connection, false, limits);
  if (!ledger.has_history) {
    history->require_creatable(connection, options.subject, limits);
    connection.run(history->create(), limits);
  }
  require_no_failures(ledger, options.subject);
  run_jobs(session, *history, jobs_of(source, ledger, *history, options.until), outcome);
  connection.run(session.fresh_settings(*history), limits);
  outcome.took = since(begin);
  return outcome;
}

Outcome down(const Source& source, pg::Connection& connection, std::size_t count, const std::string& to, const Options& options,
             Reporter& reporter, const Limits& limits) {
  const auto begin = std::chrono::steady_clock::now();
  const auto history = history_for(source.layout, connection, limits);
  Session session{connection, options, reporter, limits};
  session.lock(*history);
  const auto ledger = ledger_of(source, *history, connection, false, limits);
  require_no_failures(ledger, options.subject);
  require_known_version(ledger, options.subject);
  std::vector<Migration> victims;
  bool found = to.empty();
  for (auto item = ledger.items.rbegin(); item != ledger.items.rend(); ++item) {
    if (item->index >= source.migrations.size() || item->state != State::applied) continue;
    const auto& migration = source.migrations[item->index];
    if (migration.repeatable) continue;  // Flyway's undo passes them over too: they follow what they are made of
    if (!to.empty() && (migration.name == to || migration.key == to)) {
      found = true;
      break;
    }
    if (to.empty() && victims.size() == count) break;
    victims.push_back(migration);
  }
  if (!found) throw Failure{Exit::usage, fmt::format("no applied migration is called \"{}\"", to), "codops migrate status " + options.subject};
  const bool escapes = connection.parameter("standard_conforming_strings") == "off";
  for (auto& migration : victims) {
    migration = loaded(std::move(migration));
    prepare_down(migration, options.allow_invalid_utf8, escapes);
  }
  Outcome outcome;
  outcome.layout = source.layout;
  for (const auto& migration : victims) {
    const auto started = std::chrono::steady_clock::now();
    const auto script = prepare_down(migration, options.allow_invalid_utf8, escapes);
    const auto removed = history->removed(migration, source);
    const Recording recording{[&](const Attempt&) { return removed; }, {}};
    const bool whole = script.transactional && run_whole(session, *history, migration, script, recording, false);
    if (!whole) run_down_stepwise(session, *history, migration, script, removed);
    outcome.applied.push_back({migration.name, since(started), !whole});
    report(reporter, Event::Kind::progress, migration.name, outcome.applied.back().took, outcome.applied.size(), victims.size());
  }
  outcome.took = since(begin);
  return outcome;
}

}  // namespace codops::migrate
