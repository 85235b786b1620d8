// Taking back, by the down scripts.
#include <fmt/format.h>

#include <algorithm>

#include "lib/migrate/runner.hpp"
#include "lib/migrate/standing.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

struct Undoing {
  Migration migration;
  std::optional<Progress> progress{};  // of an attempt that stopped
};

// What has left something in the database, the last to run first. One whose file is gone stands where its version puts it.
std::vector<const Item*> newest_first(const Source& source, const Ledger& ledger) {
  std::vector<const Item*> items;
  for (const auto& item : ledger.items) {
    const bool known = item.index < source.migrations.size();
    // Flyway's undo passes its repeatables over too: they follow what they are made of.
    if (item.state == State::pending || (known ? source.migrations[item.index].repeatable : source.layout == Layout::flyway && item.key.starts_with("R__"))) continue;
    const auto later = known ? items.end() : std::find_if(items.begin(), items.end(), [&](const Item* other) { return running_order(source.layout, item.key, other->key) < 0; });
    items.insert(later, &item);
  }
  std::reverse(items.begin(), items.end());
  return items;
}

std::vector<Undoing> jobs_of(const Source& source, const Ledger& ledger, const History& history, std::size_t count, const std::string& to, const std::string& subject) {
  std::vector<Undoing> jobs;
  for (const auto* item : newest_first(source, ledger)) {
    if (to.empty() && jobs.size() == count) return jobs;
    if (!to.empty() && (item->name == to || item->key == to)) return jobs;
    if (item->index >= source.migrations.size()) {
      throw Failure{Exit::data, fmt::format("\"{}\" is applied here and has no file, so it can't be taken back, nor what is before it", item->name),
                    fmt::format("take the version that has it, or restore the file; codops migrate status {} lists all", subject)};
    }
    // What a baseline stands for was never run from here.
    if (item->entry && item->entry->logs == "baseline") break;
    jobs.push_back({source.migrations[item->index], item->taking_back ? history.progress_of(*item->entry) : std::nullopt});
  }
  if (!to.empty()) throw Failure{Exit::usage, fmt::format("no applied migration is called \"{}\"", to), "codops migrate status " + subject};
  return jobs;
}

}  // namespace

Outcome down(const Source& source, pg::Connection& connection, std::size_t count, const std::string& to, const Options& options,
             Reporter& reporter, const Limits& limits) {
  const auto begin = std::chrono::steady_clock::now();
  const auto since = [](std::chrono::steady_clock::time_point when) { return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - when); };
  const auto history = history_for(source.layout, connection, limits);
  Session session{connection, options, reporter, limits};
  session.lock(*history);
  const auto ledger = ledger_of(source, *history, connection, false, limits);
  require_no_failures(ledger, options.subject);
  require_none_half_applied(ledger, options.subject);
  require_known_version(ledger, options.subject);
  auto jobs = jobs_of(source, ledger, *history, count, to, options.subject);
  // Every down script is read and judged before the first one runs.
  const bool escapes = connection.parameter("standard_conforming_strings") == "off";
  for (auto& job : jobs) {
    job.migration = loaded(std::move(job.migration));
    prepare_down(job.migration, options.allow_invalid_utf8, escapes);
  }
  Outcome outcome;
  outcome.layout = source.layout;
  for (const auto& [migration, progress] : jobs) {
    const auto started = std::chrono::steady_clock::now();
    const auto script = prepare_down(migration, options.allow_invalid_utf8, escapes);
    const Recording recording{[&](const Attempt&) { return history->removed(migration, source); }, {}};
    const bool whole = script.transactional && !progress && run_whole(session, *history, migration, script, recording, false);
    if (!whole) run_down_stepwise(session, *history, migration, script, progress, history->taken_back(migration, source));
    outcome.applied.push_back({migration.name, since(started), !whole});
    reporter.report({Event::Kind::progress, "migrate", migration.name, {}, outcome.applied.back().took, outcome.applied.size(), jobs.size()});
  }
  outcome.took = since(begin);
  return outcome;
}

}  // namespace codops::migrate
