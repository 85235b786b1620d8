#include "lib/migrate/standing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/migrate/script_error.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

Ledger ledger_of(const Source& source, const History& history, pg::Connection& connection, bool check_files, const Limits& limits) {
  const bool present = history.present(connection, limits);
  auto ledger = evaluate(source, present ? history.read(connection, limits) : std::vector<Entry>{}, &history, check_files || source.validates);
  ledger.has_history = present;
  return ledger;
}

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

void require_none_half_taken_back(const Ledger& ledger, const std::string& subject) {
  for (const auto& item : ledger.items) {
    if (!item.taking_back) continue;
    throw Failure{Exit::failed, fmt::format("migration \"{}\" is half taken back: its down script stopped, {} of its statements done (P3009)", printable(item.name), item.entry->steps),
                  fmt::format("codops migrate down {1} goes on with it; when its effects are undone by hand: codops migrate resolve {1} --rolled-back {0}; when they are all there "
                              "again: codops migrate resolve {1} --applied {0}",
                              shell_word(item.name), subject)};
  }
}

void require_none_half_applied(const Ledger& ledger, const std::string& subject) {
  for (const auto& item : ledger.items) {
    if (item.state != State::unfinished || item.taking_back) continue;
    throw Failure{Exit::failed, fmt::format("migration \"{}\" stopped between statements, {} of them done: what is before it can't be taken back", printable(item.name), item.entry->steps),
                  fmt::format("codops migrate up {1} finishes it; when its effects are undone by hand: codops migrate resolve {1} --rolled-back {0}", shell_word(item.name), subject)};
  }
}

void require_known_version(const Ledger& ledger, const std::string& subject) {
  if (ledger.layout != Layout::golang_migrate) return;
  for (const auto& item : ledger.items) {
    if (item.state != State::missing) continue;
    throw Failure{Exit::data, fmt::format("the database is at version {}, and there is no file of that version", item.key),
                  fmt::format("deploy the version that has it, or restore the file; codops migrate status {} lists all", subject)};
  }
}

void require_valid(const Source& source, const Ledger& ledger, const std::string& subject) {
  if (!source.validates) return;
  const auto later_than_all = [&](const Item& item) {
    return std::all_of(source.migrations.begin(), source.migrations.end(), [&](const Migration& one) { return one.repeatable || running_order(source.layout, one.key, item.key) < 0; });
  };
  for (const auto& item : ledger.items) {
    const bool gone = item.state == State::missing && !later_than_all(item);
    if (item.state == State::edited || gone) {
      throw Failure{Exit::data, fmt::format("\"{}\" is applied here, and {}, as Flyway's validate has it", printable(item.name), gone ? "there is no such file" : "its file is not the one that was applied"),
                    fmt::format("restore the file; \"flyway.validateOnMigrate=false\" in flyway.conf runs the rest all the same; codops migrate status {} lists all", subject)};
    }
    if (source.in_order && item.state == State::pending && item.out_of_order) {
      throw Failure{Exit::data, fmt::format("\"{}\" is not applied here, and later ones are, as Flyway's validate has it", printable(item.name)),
                    fmt::format("give it a version behind the last; or \"flyway.outOfOrder=true\" in flyway.conf; codops migrate status {} lists all", subject)};
    }
  }
}

void create_history(const History& history, pg::Connection& connection, const Limits& limits) {
  try {
    connection.run(history.create(connection, limits), limits);
  } catch (const pg::DatabaseError& error) {
    if (error.sqlstate() != "42501") throw;
    throw Failure{error.code(), fmt::format("the history of migrations, {}, can't be made: {}", history.table(), error.message()),
                  fmt::format("GRANT USAGE, CREATE ON SCHEMA {} TO {}; or codops db init", pg::quote_identifier(history.schema()),
                              connection.query("SELECT quote_ident(current_user)", limits).text(0, 0))};
  }
}

}  // namespace codops::migrate
