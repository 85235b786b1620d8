#include <fmt/format.h>

#include <algorithm>

#include "lib/migrate/stepwise.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

using Kind = Parsed::Kind;

void Stepwise::run() {
  const auto begin = std::chrono::steady_clock::now();
  open();
  for (next_ = progress_.done; next_ < progress_.total;) {
    try {
      one();
      ++next_;
    } catch (const pg::DatabaseError& error) {
      if (!own_transaction_again(error)) fail_here(error);
    } catch (...) {
      session_.roll_back();
      throw;
    }
  }
  if (connection().transaction() != pg::Transaction::idle) {
    session_.roll_back();
    throw Failure{Exit::data, fmt::format("\"{}\" begins a transaction and never ends it", migration_.name), "add COMMIT"};
  }
  attempt_.took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin);
  try {
    session_.record(progress_.taking_back ? taken_back_ : (recorded_ ? "" : recording(progress_) + "\n") + history_.completed(migration_, attempt_));
  } catch (const pg::DatabaseError& error) {
    fail_here(error);
  }
}

void Stepwise::open() {
  const auto opened = connection().run(session_.fresh_settings(history_) + session_.timeouts("SET") + "SELECT clock_timestamp()", session_.limits());
  attempt_ = new_attempt(std::string{opened.last.text(0, 0)});
  if (progress_.done == 0 && !progress_.started) return;
  session_.reporter().note(fmt::format("\"{}\" continues with statement {} of {}", migration_.name, progress_.done + 1, progress_.total));
  // What the statements before have set for the session is part of what the rest expects.
  set_again(0, memory_.known_at());
  memory_.restore(connection(), session_.limits());
  set_again(memory_.known_at(), progress_.done);
}

void Stepwise::set_again(std::size_t from, std::size_t to) {
  for (auto i = from; i < std::min(to, progress_.done); ++i) {
    if (SessionMemory::only_sets(script_.parsed[i], script_.statements[i].sql(script_.text))) {
      connection().run(script_.statements[i].sql(script_.text), session_.limits());
    }
  }
}

void Stepwise::one() {
  if (connection().transaction() == pg::Transaction::in_transaction) return in_own_transaction();
  if (parsed().kind == Kind::begin) {
    if (!contention_) contention_.emplace(session_);
    return send();
  }
  if (!outside_transaction_only(parsed()).empty() || parsed().kind == Kind::call || runs_transactions_) return alone();
  in_transaction();
}

// The file's own BEGIN … COMMIT: the progress is recorded by that very transaction.
void Stepwise::in_own_transaction() {
  const bool commits = parsed().kind == Kind::commit;
  const bool read_only = commits && connection().query("SELECT current_setting('transaction_read_only')", session_.limits()).text(0, 0) == "on";
  if (commits && !read_only) write_inside(after_this());
  send();
  if (commits && !read_only) advance();
  else if (commits || parsed().kind == Kind::rollback) save();
  if (commits || parsed().kind == Kind::rollback) contention_.reset();
  own_block_ = own_block_ || memory_.may_change(parsed());
  if (commits && std::exchange(own_block_, false)) remember(connection().query(memory_.looking(), session_.limits()));
}

// Nothing stays of a transaction of the file's own in which somebody held a lock: all of it may be tried again.
bool Stepwise::own_transaction_again(const pg::DatabaseError& error) {
  const auto first = progress_.done;
  if (!contention_ || first >= next_ || script_.parsed[first].kind != Kind::begin) return false;
  session_.roll_back();
  own_block_ = false;
  if (contention_->again(error)) {
    next_ = first;
    return true;
  }
  blockers_ = contention_->blockers();
  return false;
}

// Statement and progress in one transaction: after a crash it either happened and is recorded, or neither.
void Stepwise::in_transaction() {
  Contention contention{session_};
  for (;;) {
    try {
      send("BEGIN READ WRITE; ");
      commit(own_rights() + session_.commit_check() + recording(after_this()) + " COMMIT");
      return;
    } catch (const pg::DatabaseError& error) {
      session_.roll_back();
      if (progress_.done > next_) throw;  // it is committed
      if (error.sqlstate() == "25001" || error.sqlstate() == "2D000") {
        // A DO block that commits, or a statement that this server doesn't run in a transaction.
        runs_transactions_ = true;
        alone();
        runs_transactions_ = false;
        return;
      }
      if (contention.again(error)) continue;
      blockers_ = contention.blockers();
      throw;
    }
  }
}

void Stepwise::send(std::string_view before) {
  const auto& statement = script_.statements[next_];
  if (before.empty()) {
    connection().run(sql(), session_.limits(), data_of(script_, statement));
    return;
  }
  try {
    connection().run(std::string{before}.append(sql()), session_.limits(), data_of(script_, statement));
  } catch (const pg::DatabaseError& error) {
    // Places count in the script's statement.
    auto diagnostic = error.diagnostic();
    diagnostic.position -= std::min(diagnostic.position, before.size());
    throw pg::DatabaseError{error.code(), std::move(diagnostic), error.lost(), error.hint()};
  }
}

void run_stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier) {
  Stepwise{session, history, migration, script, earlier, {}}.run();
}

void run_down_stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier,
                       const std::string& taken_back) {
  Stepwise{session, history, migration, script, earlier, taken_back}.run();
}

}  // namespace codops::migrate
