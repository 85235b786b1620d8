#include "lib/migrate/migrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lib/base/units.hpp"
#include "lib/migrate/runner.hpp"
#include "lib/migrate/standing.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

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

// Of an attempt that got nothing done nothing has to be continued: corrected, the script may well run in one transaction.
void forget_empty_attempts(Session& session, const Source& source, const History& history, std::vector<Job>& jobs) {
  for (auto& job : jobs) {
    if (!job.progress || job.progress->done > 0 || job.progress->started) continue;
    session.record(history.marked_rolled_back(*job.migration, source));
    job.progress.reset();
  }
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
    keep_local_settings(script);
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
  require_none_half_taken_back(ledger, options.subject);
  require_valid(source, ledger, options.subject);
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
  require_valid(source, ledger, options.subject);
  if (ledger.has_history && ledger.count(State::failed) == 0 && jobs_of(source, ledger, *history, options.until).empty()) {
    outcome.took = since(begin);
    return outcome;
  }

  Session session{connection, options, reporter, limits};
  session.lock(*history);
  ledger = ledger_of(source, *history, connection, false, limits);
  if (!ledger.has_history) {
    history->require_creatable(connection, options.subject, limits);
    create_history(*history, connection, limits);
  }
  require_no_failures(ledger, options.subject);
  require_none_half_taken_back(ledger, options.subject);
  require_valid(source, ledger, options.subject);
  auto jobs = jobs_of(source, ledger, *history, options.until);
  forget_empty_attempts(session, source, *history, jobs);
  run_jobs(session, *history, jobs, outcome);
  connection.run(session.fresh_settings(*history), limits);
  outcome.took = since(begin);
  return outcome;
}

}  // namespace codops::migrate
