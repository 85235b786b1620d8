#include <fmt/format.h>

#include <algorithm>

#include "lib/io/crypto.hpp"
#include "lib/migrate/runner.hpp"
#include "lib/migrate/runner_indexes.hpp"
#include "lib/migrate/session_memory.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

using Kind = Parsed::Kind;

std::string digest_with(const std::string& before, const Script& script, const Statement& statement) {
  io::Sha256 hash;
  hash.update(before).update(";").update(statement.sql(script.text));
  if (statement.has_data()) hash.update(std::string_view{script.text}.substr(statement.data_begin, statement.data_end - statement.data_begin));
  return hash.hex();
}

std::string digest_of(const Script& script, std::size_t statements) {
  std::string digest = "none";
  for (std::size_t i = 0; i < statements; ++i) digest = digest_with(digest, script, script.statements[i]);
  return digest;
}

class Stepwise {
 public:
  // `taken_back`: of a down script, what is recorded at its end.
  Stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier,
           std::string taken_back)
      : session_{session}, history_{history}, migration_{migration}, script_{script}, taken_back_{std::move(taken_back)}, continues_{earlier.has_value()}, memory_{script.text, {}} {
    progress_.taking_back = !taken_back_.empty();
    for (const auto& parsed : script.parsed) changes_user_ = changes_user_ || (parsed.kind == Kind::set && parsed.value == "authorization");
    progress_.total = script.statements.size();
    if (earlier) {
      progress_.done = earlier->done;
      progress_.started = earlier->started;
      progress_.notes = earlier->notes;
      memory_ = SessionMemory{script_.text, earlier->notes};
    }
    if (earlier && (earlier->done > progress_.total || earlier->digest != digest_of(script, earlier->done))) {
      throw Failure{Exit::data,
                    fmt::format("\"{}\" was edited in its first {} of {} statements, which have run already", migration.name, earlier->done, earlier->total),
                    fmt::format("restore them; or finish by hand, then: codops migrate resolve {} --{} {}", session.options().subject, progress_.taking_back ? "rolled-back" : "applied",
                                shell_word(migration.name))};
    }
    progress_.digest = digest_of(script, progress_.done);
  }

  void run() {
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

 private:
  pg::Connection& connection() { return session_.connection(); }
  const Parsed& parsed() const { return script_.parsed[next_]; }
  std::string_view sql() const { return script_.statements[next_].sql(script_.text); }
  // The first record of an attempt comes with what it is about: one that did nothing leaves no trace of having begun.
  std::string recording(const Progress& progress) const {
    if (progress.taking_back) return history_.taking_back(migration_, attempt_, progress);
    return recorded_ ? history_.progressed(migration_, attempt_, progress) : history_.begun(migration_, attempt_, progress);
  }

  void open() {
    const auto opened = connection().run(session_.fresh_settings(history_) + session_.timeouts("SET") + "SELECT clock_timestamp()", session_.limits());
    attempt_ = new_attempt(std::string{opened.last.text(0, 0)});
    if (progress_.done == 0 && !progress_.started) return;
    session_.reporter().note(fmt::format("\"{}\" continues with statement {} of {}", migration_.name, progress_.done + 1, progress_.total));
    // What the statements before have set for the session is part of what the rest expects.
    set_again(0, memory_.known_at());
    memory_.restore(connection(), session_.limits());
    set_again(memory_.known_at(), progress_.done);
  }

  void set_again(std::size_t from, std::size_t to) {
    for (auto i = from; i < std::min(to, progress_.done); ++i) {
      if (SessionMemory::only_sets(script_.parsed[i], script_.statements[i].sql(script_.text))) {
        connection().run(script_.statements[i].sql(script_.text), session_.limits());
      }
    }
  }

  // Behind a statement that may have changed the session by a function. Only once it is committed can what is SET for good be told
  // from what was SET LOCAL.
  void remember_session() {
    if (!memory_.may_change(parsed())) return;
    if (!memory_.look(connection(), progress_.done, session_.limits())) return;
    progress_.notes = memory_.notes();
    write(progress_);
  }

  // The script may have become another role by now, one that has no right to the history; and it goes on as that role afterwards.
  std::string own_rights() const { return std::string{"SET LOCAL statement_timeout = 0; "} + std::string{changes_user_ ? "SET LOCAL SESSION AUTHORIZATION DEFAULT; " : ""} + "SET LOCAL role TO DEFAULT; "; }

  // In the transaction that is open.
  void write_inside(const Progress& progress, std::string_view then) {
    run_recording(own_rights() + session_.commit_check() + recording(progress) + " " + std::string{then});
  }
  // In one of its own, whatever the session's default is.
  void write(const Progress& progress) {
    run_recording("BEGIN READ WRITE; " + own_rights() + session_.commit_check() + recording(progress) + " COMMIT");
    recorded_ = true;
  }
  void run_recording(const std::string& text) {
    try {
      connection().run(text, session_.limits());
    } catch (const pg::DatabaseError& error) {
      if (is_contention(error) || error.lost()) throw;
      auto culprit = next_;
      throw recording_error(script_, history_, error, culprit);
    }
  }

  void one() {
    if (connection().transaction() == pg::Transaction::in_transaction) return in_own_transaction();
    if (parsed().kind == Kind::begin) {
      if (!contention_) contention_.emplace(session_);
      return send();
    }
    if (!outside_transaction_only(parsed()).empty() || parsed().kind == Kind::call || runs_transactions_) return alone();
    in_transaction();
  }

  // The file's own BEGIN … COMMIT: the progress is recorded by that very transaction.
  void in_own_transaction() {
    const bool commits = parsed().kind == Kind::commit;
    const bool read_only = commits && connection().query("SELECT current_setting('transaction_read_only')", session_.limits()).text(0, 0) == "on";
    if (commits && !read_only) write_inside(after_this(), "");
    send();
    if (commits && !read_only) advance();
    else if (commits || parsed().kind == Kind::rollback) save();
    if (commits || parsed().kind == Kind::rollback) contention_.reset();
    own_block_ = own_block_ || memory_.may_change(parsed());
    if (!commits) return;
    if (std::exchange(own_block_, false) && memory_.look(connection(), progress_.done, session_.limits())) {
      progress_.notes = memory_.notes();
      write(progress_);
    }
  }

  // Nothing stays of a transaction of the file's own in which somebody held a lock: all of it may be tried again.
  bool own_transaction_again(const pg::DatabaseError& error) {
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
  void in_transaction() {
    Contention contention{session_};
    for (;;) {
      try {
        connection().run("BEGIN READ WRITE", session_.limits());
        send();
        write_inside(after_this(), "COMMIT");
        advance();
        break;
      } catch (const pg::DatabaseError& error) {
        session_.roll_back();
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
    remember_session();
  }

  // Outside of any transaction, so what happened and what is recorded can differ after a crash; hence the mark before.
  void alone() {
    const bool resumed = progress_.started;
    if (parsed().kind == Kind::create_index && parsed().concurrently) {
      build_index(resumed);
    } else {
      const bool reindexes = parsed().kind == Kind::reindex && parsed().concurrently;
      if (reindexes) drop_reindex_leftovers("left by a rebuild that failed: it is dropped");
      mark_started();
      try {
        without_timeouts([&] { send(); });
      } catch (const pg::DatabaseError& error) {
        refused(error);
        if (reindexes && !error.lost()) drop_reindex_leftovers("the rebuild failed: it is dropped");
        if (!resumed || !already_done(error)) throw;
        session_.reporter().note(fmt::format("statement {} of \"{}\" had taken effect before: {}", next_ + 1, migration_.name, error.message()));
      }
    }
    save();
    remember_session();
  }

  void mark_started() {
    progress_.started = true;
    progress_.notes = memory_.notes();
    write(progress_);
  }

  // The server's answer is no: that is no cut-off, and the next run begins this statement anew.
  void refused(const pg::DatabaseError& error) {
    if (error.lost()) return;
    progress_.started = false;
    memory_.indexes(std::nullopt);
    progress_.notes = memory_.notes();
  }

  void drop_index(const std::string& name) {
    without_timeouts([&] { connection().run("DROP INDEX CONCURRENTLY IF EXISTS " + name, session_.limits()); });
  }

  void drop_reindex_leftovers(std::string_view why) {
    pg::Value target;
    if (!parsed().whole_database) target = quoted_name(parsed().table.empty() ? parsed().object() : parsed().table);
    for (const auto& name : reindex_leftovers(connection(), target, session_.limits())) {
      drop_index(name);
      session_.reporter().note(fmt::format("the index {} is invalid, {}", name, why));
    }
  }

  // What the attempt that was cut off built is known by not having been there before it. True: it is complete.
  bool was_built() {
    if (!memory_.indexes()) return false;
    const auto& before = *memory_.indexes();
    const auto& name = parsed().object().name;
    bool complete = false;
    for (const auto& index : indexes_of(connection(), parsed().table, session_.limits())) {
      if (std::find(before.begin(), before.end(), index.quoted) != before.end() || index.unique != parsed().unique) continue;
      if (name.empty() ? !index.own_name : index.name != name) continue;
      if (index.valid) {
        session_.reporter().note(fmt::format("the index {} was complete already", index.quoted));
        complete = true;
      } else {
        session_.reporter().note(fmt::format("the index {} is invalid, left by the build that was cut off: it is dropped and built again", index.quoted));
        drop_index(index.quoted);
      }
    }
    return complete;
  }

  // A concurrent build that is cut off by a limit, the server's own too, leaves an invalid index behind.
  template <typename Action>
  void without_timeouts(const Action& action) {
    const auto before = connection().query("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')", session_.limits());
    const auto put_back = [&] {
      connection().run(fmt::format("SET lock_timeout = {}; SET statement_timeout = {}", pg::quote_literal(before.text(0, 0)), pg::quote_literal(before.text(0, 1))), session_.limits());
    };
    connection().run("SET lock_timeout = 0; SET statement_timeout = 0", session_.limits());
    try {
      action();
    } catch (const pg::DatabaseError& error) {
      if (!error.lost()) put_back();
      throw;
    }
    put_back();
  }

  void build_index(bool resumed) {
    if (resumed && was_built()) return;
    std::string quoted;
    if (!parsed().object().empty() && index_state(connection(), parsed(), quoted, session_.limits()) == IndexState::invalid) {
      session_.reporter().note(fmt::format("the index \"{}\" is invalid, left by a build that failed: it is dropped and built again", parsed().object().name));
      drop_index(quoted);
    }
    std::vector<std::string> there;
    for (auto& index : indexes_of(connection(), parsed().table, session_.limits())) there.push_back(std::move(index.quoted));
    memory_.indexes(std::move(there));
    mark_started();
    Contention contention{session_};
    for (;;) {
      const auto before = invalid_indexes(connection(), session_.limits());
      try {
        without_timeouts([&] { send(); });
        return;
      } catch (const pg::DatabaseError& error) {
        if (error.lost()) throw;
        drop_new_invalid(before);
        if (!contention.again(error)) {
          refused(error);
          blockers_ = contention.blockers();
          throw;
        }
      }
    }
  }

  void drop_new_invalid(const std::set<std::string>& before) {
    for (const auto& name : invalid_indexes(connection(), session_.limits())) {
      if (before.contains(name)) continue;
      drop_index(name);
      session_.reporter().note(fmt::format("the build failed; its invalid index {} was dropped", name));
    }
  }

  // After a cut-off: does the error mean that the statement had taken effect? Only of those that make or drop one thing, or not.
  bool already_done(const pg::DatabaseError& error) const {
    const auto kind = parsed().kind;
    const bool drops = lower_case(sql().substr(0, 4)) == "drop";
    const bool creates = lower_case(sql().substr(0, 6)) == "create";
    const auto& code = error.sqlstate();
    if (kind == Kind::drop_index) return drops && parsed().objects.size() == 1 && (code == "42704" || code == "42P01");
    if (kind == Kind::database) return (creates && code == "42P04") || (drops && code == "3D000");
    if (kind == Kind::tablespace || kind == Kind::subscription) return (creates && code == "42710") || (drops && code == "42704");
    return false;
  }

  void send() {
    connection().run(sql(), session_.limits(), data_of(script_, script_.statements[next_]));
  }

  Progress after_this() const {
    auto progress = progress_;
    progress.done = next_ + 1;
    progress.started = false;
    for (auto i = progress_.done; i < progress.done; ++i) progress.digest = digest_with(progress.digest, script_, script_.statements[i]);
    auto memory = memory_;
    memory.indexes(std::nullopt);
    progress.notes = memory.notes();
    return progress;
  }

  void advance() {
    progress_ = after_this();
    recorded_ = true;
    memory_.indexes(std::nullopt);
  }

  void save() {
    write(after_this());
    advance();
  }

  // Whether a commit that got no answer took place, only the history knows.
  void read_back() {
    for (const auto& entry : history_.read(connection(), Limits{Deadline::after(Milliseconds{10'000}), {}})) {
      if (entry.key != migration_.key || (!progress_.taking_back && entry.id != attempt_.id)) continue;
      const auto progress = history_.progress_of(entry);
      if (!progress || progress->taking_back != progress_.taking_back || progress->done < progress_.done) continue;
      progress_ = *progress;
      recorded_ = true;
    }
  }

  [[noreturn]] void fail_here(const pg::DatabaseError& error) {
    session_.roll_back();
    if (error.lost()) {
      session_.reconnect(history_);
      read_back();
    }
    auto located = locate(migration_, script_, next_, next_ < progress_.total ? script_.statements[next_].start : 0, error.diagnostic());
    const bool nothing_done = !continues_ && !recorded_ && progress_.done == 0 && !progress_.started;
    try {
      auto progress = progress_;
      progress.error = to_log(located);
      if (!nothing_done) session_.record(recording(progress));
      else if (!progress_.taking_back) session_.record(history_.refused(migration_, attempt_, progress.error));
    } catch (const pg::DatabaseError& unrecorded) {
      session_.reporter().warn(fmt::format("how far \"{}\" came could not be recorded: {}", migration_.name, unrecorded.message()));
    }
    const auto base = next_ < progress_.total ? script_.statements[next_].start : 0;
    if (nothing_done) fail(session_, migration_, script_, next_, base, error, "rolled back, nothing of it stays", blockers_, hint_to_retry(error));
    fail(session_, migration_, script_, next_, base, error, fmt::format("{} of {} statements are done and stay", progress_.done, progress_.total), blockers_,
         fmt::format("correct the rest and run it again: it continues with statement {}; or codops migrate resolve {} --rolled-back {}",
                     progress_.done + 1, session_.options().subject, shell_word(migration_.name)));
  }

  Session& session_;
  const History& history_;
  const Migration& migration_;
  const Script& script_;
  std::string taken_back_;
  bool continues_;         // an attempt that stopped
  bool recorded_{false};   // the history has this attempt
  Progress progress_;
  Attempt attempt_;
  std::size_t next_{};
  SessionMemory memory_;
  bool runs_transactions_{false}, changes_user_{false}, own_block_{false};
  std::optional<Contention> contention_;  // of the file's own transaction that is open
  std::vector<std::string> blockers_;
};

}  // namespace

void run_stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier) {
  Stepwise{session, history, migration, script, earlier, {}}.run();
}

void run_down_stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier,
                       const std::string& taken_back) {
  Stepwise{session, history, migration, script, earlier, taken_back}.run();
}

}  // namespace codops::migrate
