#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lib/io/crypto.hpp"
#include "lib/migrate/runner.hpp"
#include "lib/migrate/session_memory.hpp"

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

// What a REINDEX CONCURRENTLY that was cut off leaves beside the index that it was to replace. `target`: quoted, of an index or a table;
// nullopt: the whole database.
std::vector<std::string> reindex_leftovers(pg::Connection& connection, const pg::Value& target, const Limits& limits) {
  const auto rows = connection.query(
      "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = "
      "c.relnamespace WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relname ~ '_cc(new|old)[0-9]*$' AND n.nspname <> 'pg_toast' AND NOT EXISTS (SELECT "
      "FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AND ($1::text IS NULL OR i.indrelid = to_regclass($1) OR i.indrelid = "
      "(SELECT t.indrelid FROM pg_index t WHERE t.indexrelid = to_regclass($1)) OR i.indrelid IN (SELECT relid FROM pg_partition_tree(to_regclass($1))))",
      {target}, limits);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) names.emplace_back(rows.text(i, 0));
  return names;
}

std::string quoted_name(const Name& name) {
  return name.schema.empty() ? pg::quote_identifier(name.name) : pg::quote_identifier(name.schema) + "." + pg::quote_identifier(name.name);
}

struct TableIndex {
  std::string quoted;
  bool valid{false}, own_name{false};  // own_name: such as the server chooses for one without a name
};

std::vector<TableIndex> indexes_of(pg::Connection& connection, const Name& table, const Limits& limits) {
  const auto rows = connection.query(
      "SELECT format('%I.%I', n.nspname, c.relname), i.indisvalid, left(c.relname, 20) = left(t.relname, 20) AND c.relname ~ '_(idx|key)[0-9]*$' OR "
      "starts_with(c.relname, t.relname || '_') FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN "
      "pg_class t ON t.oid = i.indrelid WHERE i.indrelid = to_regclass($1) AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = "
      "i.indexrelid)",
      {quoted_name(table)}, limits);
  std::vector<TableIndex> result;
  for (std::size_t i = 0; i < rows.size(); ++i) result.push_back({std::string{rows.text(i, 0)}, rows.boolean(i, 1), rows.boolean(i, 2)});
  return result;
}

enum class IndexState { absent, invalid, valid };

// An index's schema is its table's. `quoted` gets the name for DROP.
IndexState index_state(pg::Connection& connection, const Parsed& parsed, std::string& found, const Limits& limits) {
  const auto rows = connection.query(
      "SELECT i.indisvalid, format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON "
      "n.oid = c.relnamespace WHERE i.indrelid = to_regclass($1) AND c.relname = $2",
      {quoted_name(parsed.table), parsed.object().name}, limits);
  if (rows.empty()) return IndexState::absent;
  found = rows.text(0, 1);
  return rows.boolean(0, 0) ? IndexState::valid : IndexState::invalid;
}

class Stepwise {
 public:
  // `down`: what to run at the end of a down script instead of keeping progress.
  Stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier,
           std::string down)
      : session_{session}, history_{history}, migration_{migration}, script_{script}, down_{std::move(down)}, memory_{script.text, {}} {
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
    if (!keeps_progress() || !memory_.may_change(parsed())) return;
    if (!memory_.look(connection(), progress_.done, session_.limits())) return;
    progress_.notes = memory_.notes();
    write(progress_);
  }

  // The script may have become another role by now, one that has no right to the history; and it goes on as that role afterwards.
  std::string own_rights() const { return std::string{"SET LOCAL statement_timeout = 0; "} + std::string{changes_user_ ? "SET LOCAL SESSION AUTHORIZATION DEFAULT; " : ""} + "SET LOCAL ROLE NONE; "; }

  // In the transaction that is open.
  void write_inside(const Progress& progress, std::string_view then) {
    if (!keeps_progress()) {
      connection().run(then, session_.limits());
      return;
    }
    recorded(own_rights() + session_.commit_check() + history_.progressed(migration_, attempt_, progress) + " " + std::string{then});
  }
  // In one of its own, whatever the session's default is.
  void write(const Progress& progress) {
    if (keeps_progress()) recorded("BEGIN READ WRITE; " + own_rights() + session_.commit_check() + history_.progressed(migration_, attempt_, progress) + " COMMIT");
  }
  void recorded(const std::string& text) {
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
      send();
      if (const auto timeouts = session_.local_timeouts(); !timeouts.empty()) connection().run(timeouts, session_.limits());
      return;
    }
    if (!outside_transaction_only(parsed()).empty() || parsed().kind == Kind::call || runs_transactions_) return alone();
    in_transaction();
  }

  // The file's own BEGIN … COMMIT: the progress is recorded by that very transaction.
  void in_own_transaction() {
    const bool commits = parsed().kind == Kind::commit;
    const bool read_only = commits && connection().query("SELECT current_setting('transaction_read_only')", session_.limits()).text(0, 0) == "on";
    if (commits && keeps_progress() && !read_only) write_inside(after_this(), "");
    send();
    if (commits && !read_only) advance();
    else if (commits || parsed().kind == Kind::rollback) save();
    own_block_ = own_block_ || memory_.may_change(parsed());
    if (!commits) return;
    if (std::exchange(own_block_, false) && memory_.look(connection(), progress_.done, session_.limits()) && keeps_progress()) {
      progress_.notes = memory_.notes();
      write(progress_);
    }
  }

  // Statement and progress in one transaction: after a crash it either happened and is recorded, or neither.
  void in_transaction() {
    Contention contention{session_};
    for (;;) {
      try {
        connection().run("BEGIN READ WRITE; " + session_.local_timeouts(), session_.limits());
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
        concurrent_send();
      } catch (const pg::DatabaseError& error) {
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

  void drop_reindex_leftovers(std::string_view why) {
    pg::Value target;
    if (!parsed().whole_database) target = quoted_name(parsed().table.empty() ? parsed().object() : parsed().table);
    for (const auto& name : reindex_leftovers(connection(), target, session_.limits())) {
      connection().run("DROP INDEX CONCURRENTLY IF EXISTS " + name, session_.limits());
      session_.reporter().note(fmt::format("the index {} is invalid, {}", name, why));
    }
  }

  // An index without a name is known by not having been there. True: the attempt before completed it.
  bool nameless_was_built() {
    if (!memory_.indexes()) return false;
    const auto& before = *memory_.indexes();
    bool complete = false;
    for (const auto& index : indexes_of(connection(), parsed().table, session_.limits())) {
      if (std::find(before.begin(), before.end(), index.quoted) != before.end() || !index.own_name) continue;
      if (index.valid) {
        session_.reporter().note(fmt::format("the index {} was complete already", index.quoted));
        complete = true;
      } else {
        session_.reporter().note(fmt::format("the index {} is invalid, left by the build that was cut off: it is dropped and built again", index.quoted));
        connection().run("DROP INDEX CONCURRENTLY IF EXISTS " + index.quoted, session_.limits());
      }
    }
    return complete;
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
    } else {
      if (resumed && nameless_was_built()) return;
      std::vector<std::string> there;
      for (auto& index : indexes_of(connection(), parsed().table, session_.limits())) there.push_back(std::move(index.quoted));
      memory_.indexes(std::move(there));
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
    auto memory = memory_;
    memory.indexes(std::nullopt);
    progress.notes = memory.notes();
    return progress;
  }

  void advance() {
    progress_ = after_this();
    memory_.indexes(std::nullopt);
  }

  void save() {
    write(after_this());
    advance();
  }

  [[noreturn]] void fail_here(const pg::DatabaseError& error) {
    session_.roll_back();
    if (error.lost()) session_.reconnect(history_);
    auto located = locate(migration_, script_, next_, next_ < progress_.total ? script_.statements[next_].start : 0, error.diagnostic());
    if (keeps_progress()) {
      auto progress = progress_;
      progress.error = to_text(located);
      try {
        session_.record(history_.progressed(migration_, attempt_, progress));
      } catch (const pg::DatabaseError& unrecorded) {
        session_.reporter().warn(fmt::format("how far \"{}\" came could not be recorded: {}", migration_.name, unrecorded.message()));
      }
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
  SessionMemory memory_;
  bool runs_transactions_{false}, changes_user_{false}, own_block_{false};
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
