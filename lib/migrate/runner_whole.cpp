#include <fmt/format.h>

#include "lib/base/units.hpp"
#include "lib/migrate/runner.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

Contention::Contention(Session& session)
    : session_{session}, backoff_{Milliseconds{500}, Milliseconds{20'000}, static_cast<std::uint64_t>(session.connection().backend_pid())} {}

bool Contention::again(const pg::DatabaseError& error) {
  blockers_ = session_.blockers();
  if (!is_contention(error) || attempt_ >= session_.options().lock_attempts) return false;
  std::string who;
  for (const auto& blocker : blockers_) who += "; held by " + blocker;
  session_.reporter().note(fmt::format("{} ({}), attempt {} of {}{}", error.message(), error.sqlstate(), attempt_, session_.options().lock_attempts, who));
  ++attempt_;
  return backoff_.wait(session_.limits());
}

pg::Source data_of(const Script& script, const Statement& statement) {
  if (!statement.has_data()) return {};
  auto rest = std::string_view{script.text}.substr(statement.data_begin, statement.data_end - statement.data_begin);
  return [rest](char* into, std::size_t size) mutable {
    const auto count = rest.copy(into, size);
    rest.remove_prefix(count);
    return count;
  };
}

namespace {

bool mentions(std::string_view sql, std::string_view word) { return lower_case(sql).find(word) != std::string::npos; }

// The last one that has to do with the history's table or its schema.
std::optional<std::size_t> touching_history(const Script& script, const History& history) {
  const auto& table = history.table();
  const auto name = lower_case(table.substr(table.rfind('.') + 2, table.size() - table.rfind('.') - 3));
  for (auto i = script.statements.size(); i-- > 0;) {
    const auto kind = script.parsed[i].kind;
    if (kind == Parsed::Kind::drop_schema || mentions(script.statements[i].sql(script.text), name)) return i;
  }
  return std::nullopt;
}

}  // namespace

pg::DatabaseError recording_error(const Script& script, const History& history, const pg::DatabaseError& error, std::size_t& statement) {
  auto diagnostic = error.diagnostic();
  diagnostic.position = diagnostic.internal_position = 0;
  if (lost_the_lock(error)) {
    diagnostic = {};
    diagnostic.severity = "ERROR";
    diagnostic.message = "the migration lock was given away, so another run could have come in between";
    diagnostic.hint = "leave pg_advisory_unlock_all() out; behind a pooler use a direct connection";
    for (std::size_t i = 0; i < script.statements.size(); ++i) {
      if (mentions(script.statements[i].sql(script.text), "pg_advisory_unlock")) statement = i;
    }
  } else if (changed_the_server(error)) {
    diagnostic = {};
    diagnostic.severity = "ERROR";
    diagnostic.message = "inside a function or a DO block it changes roles, databases or settings that all databases of the server share";
  } else if (const auto culprit = touching_history(script, history); culprit && diagnostic.position == 0 && (error.sqlstate() == "42P01" || error.sqlstate() == "3F000")) {
    diagnostic.message = "the script ran, but can't be recorded: " + diagnostic.message;
    diagnostic.hint = fmt::format("the history of migrations is {}: leave that table and its schema alone", history.table());
    statement = *culprit;
  } else if (error.sqlstate() == "42501" || error.sqlstate() == "25006" || error.sqlstate() == "42P01" || error.sqlstate() == "3F000") {
    diagnostic.message = "the script ran, but can't be recorded: " + diagnostic.message;
  }
  pg::DatabaseError told{error.code(), std::move(diagnostic), error.lost()};
  told.completed = 0;
  return told;
}

void fail(Session&, const Migration& migration, const Script& script, std::size_t statement, std::size_t base, const pg::DatabaseError& error,
          std::string state, const std::vector<std::string>& blockers, std::string hint) {
  auto located = locate(migration, script, statement, base, error.diagnostic());
  located.state = std::move(state);
  for (const auto& blocker : blockers) located.diagnostic.detail += (located.diagnostic.detail.empty() ? "held by " : "; held by ") + blocker;
  throw MigrationFailed{error.lost() ? Exit::unavailable : Exit::failed, std::move(located), std::move(hint)};
}

std::string hint_to_retry(const pg::DatabaseError& error) {
  if (error.lost()) return "run it again when the database is well";
  if (error.sqlstate() == "55P03") return "end what holds the lock, or wait longer: --lock-timeout 10s";
  return "correct the script and run it again";
}

namespace {

// Where the error is when the script was sent in more than one message.
struct Progressing {
  std::size_t statement{}, base{};
};

void send_script(Session& session, const Script& script, Progressing& at) {
  if (script.statements.empty()) return;
  if (!script.apart) {
    session.connection().run(script.text, session.limits());
    return;
  }
  for (std::size_t i = 0; i < script.statements.size(); ++i) {
    const auto& statement = script.statements[i];
    at = {i, statement.start};
    session.connection().run(statement.sql(script.text), session.limits(), data_of(script, statement));
  }
}

bool was_recorded(Session& session, const History& history, const Migration& migration, const Attempt& attempt) {
  for (const auto& entry : history.read(session.connection(), Limits{Deadline::after(Milliseconds{10'000}), {}})) {
    if (entry.key == migration.key && entry.applied() && (history.layout() != Layout::prisma || entry.id == attempt.id)) return true;
  }
  return false;
}

[[noreturn]] void end_badly(Session& session, const Migration& migration, const Script& script, const Progressing& at, const Recording& recording,
                            const Attempt& attempt, const pg::DatabaseError& error, const std::vector<std::string>& blockers) {
  auto located = locate(migration, script, at.statement + error.completed, at.base, error.diagnostic());
  if (recording.refused) {
    try {
      session.record(recording.refused(attempt, to_log(located)));
    } catch (const pg::DatabaseError& unrecorded) {
      session.reporter().warn(fmt::format("that \"{}\" failed could not be recorded: {}", migration.name, unrecorded.message()));
    }
  }
  fail(session, migration, script, at.statement + error.completed, at.base, error, "rolled back, nothing of it stays", blockers, hint_to_retry(error));
}

bool can_not_be_in_transaction(const pg::DatabaseError& error) {
  // active_sql_transaction, invalid_transaction_termination, unsafe_new_enum_value_usage
  return error.sqlstate() == "25001" || error.sqlstate() == "2D000" || error.sqlstate() == "55P04";
}

}  // namespace

bool run_whole(Session& session, const History& history, const Migration& migration, const Script& script, const Recording& recording, bool followed) {
  Contention contention{session};
  for (;;) {
    Attempt attempt;
    Progressing at;
    std::string closing;  // empty until it is sent
    try {
      const auto begin = std::chrono::steady_clock::now();
      attempt = new_attempt(session.open(history));
      send_script(session, script, at);
      if (session.connection().transaction() != pg::Transaction::in_transaction) {
        throw Failure{Exit::failed, fmt::format("the script of \"{}\" ended the transaction that it runs in; what it did before stays", migration.name),
                      "take COMMIT or ROLLBACK out of it"};
      }
      attempt.took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin);
      at = {script.statements.size(), 0};
      // First of all: the script's own time limit would be the history's too.
      closing = fmt::format("SET LOCAL statement_timeout = {}; RESET SESSION AUTHORIZATION; RESET ROLE; ", session.options().statement_timeout.count()) + session.local_durability() +
                session.commit_check() + recording.done(attempt) + " COMMIT";
      const auto closed = session.connection().run(followed ? closing + "; " + session.opening(history) : closing, session.limits());
      if (followed) session.opened(std::string{closed.selected.text(0, 0)});
      return true;
    } catch (const pg::DatabaseError& error) {
      session.roll_back();
      if (error.lost()) {
        session.reconnect(history);
        // Whether a commit that got no answer took place, only the history knows.
        if (!closing.empty() && was_recorded(session, history, migration, attempt)) return true;
      } else if (!closing.empty() && error.completed >= split(closing).size()) {
        return true;  // this one is complete; the next one meets the error itself
      } else if (can_not_be_in_transaction(error)) {
        return false;
      } else if (contention.again(error)) {
        continue;
      }
      if (attempt.id.empty()) throw;
      const auto reported = !closing.empty() ? recording_error(script, history, error, at.statement) : error;
      end_badly(session, migration, script, at, recording, attempt, reported, contention.blockers());
    } catch (...) {
      session.roll_back();
      throw;
    }
  }
}

}  // namespace codops::migrate
