#include <fmt/format.h>

#include <set>

#include "lib/io/crypto.hpp"
#include "lib/migrate/runner.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

using Kind = Parsed::Kind;

std::string digest_of(const Script& script, std::size_t statements) {
  io::Sha256 hash;
  for (std::size_t i = 0; i < statements; ++i) {
    hash.update(script.statements[i].sql(script.text)).update(";");
    if (script.statements[i].has_data()) {
      hash.update(std::string_view{script.text}.substr(script.statements[i].data_begin, script.statements[i].data_end - script.statements[i].data_begin));
    }
  }
  return hash.hex();
}

// Indexes that are not valid and that nobody is building right now.
std::set<std::string> invalid_indexes(pg::Connection& connection, const Limits& limits) {
  const auto rows = connection.query(
      "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = "
      "c.relnamespace WHERE NOT i.indisvalid AND c.relkind = 'i' AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE "
      "p.index_relid = i.indexrelid)",
      limits);
  std::set<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) names.emplace(rows.text(i, 0));
  return names;
}

enum class IndexState { absent, invalid, valid };

// An index's schema is its table's. `quoted` gets the name for DROP.
IndexState index_state(pg::Connection& connection, const Parsed& parsed, std::string& quoted, const Limits& limits) {
  const auto table = parsed.table.schema.empty() ? pg::quote_identifier(parsed.table.name)
                                                 : pg::quote_identifier(parsed.table.schema) + "." + pg::quote_identifier(parsed.table.name);
  const auto rows = connection.query(
      "SELECT i.indisvalid, format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON "
      "n.oid = c.relnamespace WHERE i.indrelid = to_regclass($1) AND c.relname = $2",
      {table, parsed.object().name}, limits);
  if (rows.empty()) return IndexState::absent;
  quoted = rows.text(0, 1);
  return rows.boolean(0, 0) ? IndexState::valid : IndexState::invalid;
}

class Stepwise {
 public:
  // `down`: what to run at the end of a down script instead of keeping progress.
  Stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier,
           std::string down)
      : session_{session}, history_{history}, migration_{migration}, script_{script}, down_{std::move(down)} {
    progress_.total = script.statements.size();
    if (earlier) {
      progress_.done = earlier->done;
      progress_.started = earlier->started;
    }
    if (earlier && (earlier->done > progress_.total || earlier->digest != digest_of(script, earlier->done))) {
      throw Failure{Exit::data,
                    fmt::format("\"{}\" was edited in its first {} of {} statements, which have run already", migration.name, earlier->done, earlier->total),
                    fmt::format("restore them; or finish by hand, then: codops migrate resolve {} --applied {}", session.options().subject, shell_word(migration.name))};
    }
    progress_.digest = digest_of(script, progress_.done);
  }

  void run() {
    const auto begin = std::chrono::steady_clock::now();
    open(progress_.done > 0 || progress_.started);
    for (next_ = progress_.done; next_ < progress_.total;) {
      try {
        one();
        ++next_;
      } catch (const pg::DatabaseError& error) {
        fail_here(error);
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
      session_.record(down_.empty() ? history_.completed(migration_, attempt_) : down_);
    } catch (const pg::DatabaseError& error) {
      fail_here(error);
    }
  }

 private:
  pg::Connection& connection() { return session_.connection(); }
  const Parsed& parsed() const { return script_.parsed[next_]; }
  std::string_view sql() const { return script_.statements[next_].sql(script_.text); }
  bool keeps_progress() const { return down_.empty(); }

  void open(bool continues) {
    const auto opened = connection().run(session_.fresh_settings(history_) + "SELECT clock_timestamp()", session_.limits());
    attempt_ = new_attempt(std::string{opened.last.text(0, 0)});
    if (keeps_progress()) connection().run(history_.begun(migration_, attempt_, progress_), session_.limits());
    if (!continues) return;
    session_.reporter().note(fmt::format("\"{}\" continues with statement {} of {}", migration_.name, progress_.done + 1, progress_.total));
    // What the statements before have SET for the session is part of what the rest expects.
    for (std::size_t i = 0; i < progress_.done; ++i) {
      if (script_.parsed[i].kind == Kind::set || script_.parsed[i].kind == Kind::reset) {
        connection().run(script_.statements[i].sql(script_.text), session_.limits());
      }
    }
  }

  void one() {
    if (connection().transaction() == pg::Transaction::in_transaction) return in_own_transaction();
    if (parsed().kind == Kind::begin) {
      send();
      if (const auto timeouts = session_.local_timeouts(); !timeouts.empty()) connection().run(timeouts, session_.limits());
      return;
    }
    if (!outside_transaction_only(parsed()).empty() || parsed().kind == Kind::call || runs_transactions_) return alone();
    in_transaction();
  }

  // The file's own BEGIN … COMMIT: the progress is recorded by that very transaction.
  void in_own_transaction() {
    if (parsed().kind == Kind::commit && keeps_progress()) connection().run(history_.progressed(migration_, attempt_, after_this()), session_.limits());
    send();
    if (parsed().kind == Kind::commit) advance();
    if (parsed().kind == Kind::rollback) save();
  }

  // Statement and progress in one transaction: after a crash it either happened and is recorded, or neither.
  void in_transaction() {
    Contention contention{session_};
    for (;;) {
      try {
        connection().run("BEGIN; " + session_.local_timeouts(), session_.limits());
        send();
        if (keeps_progress()) connection().run(history_.progressed(migration_, attempt_, after_this()) + " COMMIT", session_.limits());
        else connection().run("COMMIT", session_.limits());
        advance();
        return;
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
  }

  // Outside of any transaction, so what happened and what is recorded can differ after a crash; hence the mark before.
  void alone() {
    const bool resumed = progress_.started;
    if (parsed().kind == Kind::create_index && parsed().concurrently) {
      build_index(resumed);
    } else {
      mark_started();
      try {
        concurrent_send();
      } catch (const pg::DatabaseError& error) {
        if (!resumed || !already_done(error)) throw;
        session_.reporter().note(fmt::format("statement {} of \"{}\" had taken effect before: {}", next_ + 1, migration_.name, error.message()));
      }
    }
    save();
  }

  void mark_started() {
    progress_.started = true;
    if (keeps_progress()) connection().run(history_.progressed(migration_, attempt_, progress_), session_.limits());
  }

  // No timeouts: a concurrent build that is cut off leaves an invalid index behind.
  void concurrent_send() {
    const bool timeouts = session_.options().lock_timeout.count() > 0 || session_.options().statement_timeout.count() > 0;
    if (timeouts) connection().run("SET lock_timeout = 0; SET statement_timeout = 0", session_.limits());
    send();
  }

  void build_index(bool resumed) {
    std::string quoted;
    const bool named = !parsed().object().empty();
    if (named) {
      const auto found = index_state(connection(), parsed(), quoted, session_.limits());
      if (found == IndexState::valid && resumed) {
        session_.reporter().note(fmt::format("the index \"{}\" was complete already", parsed().object().name));
        return;
      }
      if (found == IndexState::invalid) {
        session_.reporter().note(fmt::format("the index \"{}\" is invalid, left by a build that failed: it is dropped and built again", parsed().object().name));
        connection().run("DROP INDEX CONCURRENTLY IF EXISTS " + quoted, session_.limits());
      }
    }
    mark_started();
    Contention contention{session_};
    for (;;) {
      const auto before = invalid_indexes(connection(), session_.limits());
      try {
        concurrent_send();
        return;
      } catch (const pg::DatabaseError& error) {
        if (error.lost()) throw;
        drop_new_invalid(before);
        if (!contention.again(error)) {
          blockers_ = contention.blockers();
          throw;
        }
      }
    }
  }

  void drop_new_invalid(const std::set<std::string>& before) {
    for (const auto& name : invalid_indexes(connection(), session_.limits())) {
      if (before.contains(name)) continue;
      connection().run("DROP INDEX CONCURRENTLY IF EXISTS " + name, session_.limits());
      session_.reporter().note(fmt::format("the build failed; its invalid index {} was dropped", name));
    }
  }

  // Errors that mean that an earlier attempt got further than it could record.
  static bool already_done(const pg::DatabaseError& error) {
    const auto& code = error.sqlstate();
    return code == "42P07" || code == "42710" || code == "42P04" || code == "42704" || code == "42P01" || code == "3D000";
  }

  void send() {
    connection().run(sql(), session_.limits(), data_of(script_, script_.statements[next_]));
  }

  Progress after_this() const {
    auto progress = progress_;
    progress.done = next_ + 1;
    progress.started = false;
    progress.digest = digest_of(script_, progress.done);
    return progress;
  }

  void advance() { progress_ = after_this(); }

  void save() {
    if (keeps_progress()) connection().run(history_.progressed(migration_, attempt_, after_this()), session_.limits());
    advance();
  }

  [[noreturn]] void fail_here(const pg::DatabaseError& error) {
    session_.roll_back();
    if (error.lost()) session_.reconnect(history_);
    auto located = locate(migration_, script_, next_, next_ < progress_.total ? script_.statements[next_].start : 0, error.diagnostic());
    if (keeps_progress()) {
      auto progress = progress_;
      progress.error = to_text(located);
      session_.record(history_.progressed(migration_, attempt_, progress));
    }
    const auto state = fmt::format("{} of {} statements are done and stay", progress_.done, progress_.total);
    fail(session_, migration_, script_, next_, next_ < progress_.total ? script_.statements[next_].start : 0, error, state, blockers_,
         fmt::format("correct the rest and run it again: it continues with statement {}; or codops migrate resolve {} --rolled-back {}",
                     progress_.done + 1, session_.options().subject, shell_word(migration_.name)));
  }

  Session& session_;
  const History& history_;
  const Migration& migration_;
  const Script& script_;
  std::string down_;
  Progress progress_;
  Attempt attempt_;
  std::size_t next_{};
  bool runs_transactions_{false};
  std::vector<std::string> blockers_;
};

}  // namespace

void run_stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier) {
  Stepwise{session, history, migration, script, earlier, {}}.run();
}

void run_down_stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::string& removed) {
  Stepwise{session, history, migration, script, {}, removed}.run();
}

}  // namespace codops::migrate
