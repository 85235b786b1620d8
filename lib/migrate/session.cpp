#include "lib/migrate/session.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

constexpr Milliseconds grace{10'000};
constexpr Milliseconds worth_telling{1000};

// SQL alone can't raise an error of its own; a text that is no number is refused with the text in the message.
constexpr std::string_view lock_lost = "codops: the migration lock is lost";
constexpr std::string_view server_changed = "codops: the whole server is changed";

bool refused_with(const pg::DatabaseError& error, std::string_view text) {
  return error.sqlstate() == "22P02" && error.diagnostic().message.find(text) != std::string::npos;
}

}  // namespace

BlockerWatch::BlockerWatch(pg::Target target, int backend, Reporter& reporter) : target_{std::move(target)}, reporter_{reporter}, backend_{backend} {
  thread_ = std::thread{[this] { sample(); }};
}

BlockerWatch::~BlockerWatch() {
  stop_.cancel(Exit::interrupted);
  thread_.join();
}

// Only evidence for messages: whatever goes wrong here ends the watch, not the run.
void BlockerWatch::sample() {
  try {
    const Limits limits{Deadline::never(), stop_.token()};
    limits.within(Milliseconds{400}).wait(-1, 0);
    auto connection = pg::Connection::open(target_, limits);
    for (;;) {
      const auto rows = connection.query("SELECT unnest(pg_blocking_pids($1))", {std::to_string(backend_.load())}, limits);
      std::vector<std::string> pids;
      for (std::size_t i = 0; i < rows.size(); ++i) pids.emplace_back(rows.text(i, 0));
      notice(pids, describe_backends(connection, pids, limits));
      limits.within(Milliseconds{200}).wait(-1, 0);
    }
  } catch (const std::exception&) {
  }
}

void BlockerWatch::notice(const std::vector<std::string>& pids, std::vector<std::string> described) {
  const std::lock_guard guard{mutex_};
  const auto now = std::chrono::steady_clock::now();
  if (pids != waited_for_) {
    waited_for_ = pids;
    waits_since_ = now;
    told_ = false;
  }
  if (described.empty()) return;
  seen_ = std::move(described);
  if (what_.empty() || told_ || now - waits_since_ < worth_telling) return;
  told_ = true;
  reporter_.note(fmt::format("{} waits for {}", what_, fmt::join(seen_, "; ")));
}

void BlockerWatch::tell(std::string what) {
  const std::lock_guard guard{mutex_};
  what_ = std::move(what);
  waited_for_.clear();
}

std::vector<std::string> BlockerWatch::take() {
  const std::lock_guard guard{mutex_};
  return std::exchange(seen_, {});
}

Session::Session(pg::Connection& connection, const Options& options, Reporter& reporter, const Limits& limits)
    : connection_{connection}, options_{options}, reporter_{reporter}, limits_{limits} {
  // PostgreSQL 14 on Linux and its like: the backend of a client that was killed stops within this time, not at the end of its statement.
  if (connection_.server_version() >= 140000) {
    try {
      connection_.query("SET client_connection_check_interval = '500ms'", limits);
      checks_client_ = true;
    } catch (const pg::DatabaseError& error) {
      if (error.lost()) throw;
    }
  }
}

void Session::take_locks(const History& history, Milliseconds wait, const Limits& limits) {
  lock_ids_ = history.lock_ids(connection_.target().database);
  for (const auto id : lock_ids_) locks_.push_back(AdvisoryLock::take(connection_, id, wait, reporter_, limits));
}

void Session::lock(const History& history) {
  if (options_.take_lock) {
    if (connection_.target().pooled) {
      reporter_.warn("the URL says pgbouncer=true: the migration lock only holds on a direct connection");
    }
    take_locks(history, options_.lock_wait, limits_);
  }
  watch_ = std::make_unique<BlockerWatch>(connection_.target(), connection_.backend_pid(), reporter_);
}

std::string Session::fresh_settings(const History& history) const {
  // RESET ALL leaves the role alone. DISCARD ALL would drop the advisory lock.
  std::string sql = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; ";
  if (history.layout() == Layout::prisma || !connection_.target().schema.empty()) {
    const auto& schema = connection_.target().schema;
    sql += fmt::format("SET search_path TO {}; ", pg::quote_identifier(schema.empty() ? history.schema() : schema));
  }
  if (checks_client_) sql += "SET client_connection_check_interval = '500ms'; ";
  return sql;
}

std::string Session::opening(const History& history) const {
  // The settings are put back in a transaction of their own: the script's begins with what they say about transactions. So is the clock
  // asked: SET TRANSACTION has to be the first thing in one.
  return "BEGIN; " + fresh_settings(history) + "SELECT clock_timestamp(); COMMIT; BEGIN; " + timeouts("SET LOCAL");
}

std::string Session::open(const History& history) {
  if (const auto clock = std::exchange(opened_, std::nullopt)) return *clock;
  return std::string{connection_.run(opening(history), limits_).selected.text(0, 0)};
}

std::string Session::commit_check() const {
  if (options_.scratch) {
    // pg_shdepend has a row for each owner and each grant of this database's own objects.
    return fmt::format(
        "SELECT (CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_stat_xact_sys_tables s JOIN pg_catalog.pg_class c ON c.oid = s.relid WHERE c.relisshared AND "
        "c.relname <> 'pg_shdepend' AND s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0) THEN '{}' ELSE '1' END)::int; ",
        server_changed);
  }
  if (locks_.empty() || connection_.target().pooled) return {};
  // Held twice: what is given back is never free. A lock that is not held can't be given back (false, and a warning).
  std::string sql;
  for (const auto id : lock_ids_) {
    sql += fmt::format("SELECT (CASE WHEN pg_catalog.pg_advisory_unlock({0}) THEN CASE WHEN pg_catalog.pg_try_advisory_lock({0}) THEN '1' ELSE '{1}' END ELSE '{1}' END)::int; ", id, lock_lost);
  }
  return sql;
}

// 0 is said too: the role or the database may have a limit of its own.
std::string Session::timeouts(std::string_view set) const {
  return fmt::format("{0} lock_timeout = {1}; {0} statement_timeout = {2}; ", set, options_.lock_timeout.count(), options_.statement_timeout.count());
}

std::string Session::lifting() {
  return "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'); SET lock_timeout = 0; SET statement_timeout = 0";
}

// In a transaction of their own: what follows in the same message may fail.
std::string Session::limits_of(const pg::Rows& rows) {
  return fmt::format("BEGIN; SET lock_timeout = {}; SET statement_timeout = {}; COMMIT", pg::quote_literal(rows.text(0, 0)), pg::quote_literal(rows.text(0, 1)));
}

Session::Tells::Tells(Session& session, std::string what) : session_{session} {
  if (session_.watch_) session_.watch_->tell(std::move(what));
}
Session::Tells::~Tells() {
  if (session_.watch_) session_.watch_->tell({});
}

std::string Session::local_durability() const { return asynchronous_ ? "SET LOCAL synchronous_commit = off; " : ""; }

void Session::make_durable() noexcept {
  try {
    roll_back();
    if (!connection_.usable()) return;
    // The smallest transaction that has something to bring to the disk: PostgreSQL flushes its log up to there.
    connection_.run("RESET synchronous_commit; SELECT pg_logical_emit_message(true, 'codops', '')", Limits{Deadline::after(grace), {}});
  } catch (const std::exception&) {
    // Within a second the server does it by itself (wal_writer_delay).
  }
}

void Session::reconnect(const History& history) {
  locks_.clear();
  opened_.reset();
  connection_ = pg::Connection::open_when_ready(connection_.target(), Limits{Deadline::after(grace), {}});
  if (watch_) watch_->follow(connection_.backend_pid());
  const Limits limits{Deadline::after(grace), {}};
  if (options_.take_lock) {
    take_locks(history, grace, limits);
  }
}

void Session::roll_back() noexcept {
  opened_.reset();
  try {
    if (connection_.usable() && connection_.transaction() != pg::Transaction::idle) {
      connection_.run("ROLLBACK", Limits{Deadline::after(grace), {}});
    }
  } catch (const std::exception&) {
  }
}

void Session::record(const std::string& sql) {
  if (sql.empty()) return;
  // READ WRITE: a script may have made read-only the session's default.
  try {
    connection_.run("BEGIN READ WRITE; RESET SESSION AUTHORIZATION; RESET ROLE; " + sql + " COMMIT", Limits{Deadline::after(grace), {}});
  } catch (...) {
    roll_back();
    throw;
  }
}

std::vector<std::string> Session::blockers() { return watch_ ? watch_->take() : std::vector<std::string>{}; }

bool lost_the_lock(const pg::DatabaseError& error) {
  return refused_with(error, lock_lost);
}

bool changed_the_server(const pg::DatabaseError& error) { return refused_with(error, server_changed); }

bool is_contention(const pg::DatabaseError& error) {
  return !error.lost() && (error.sqlstate() == "55P03" || error.sqlstate() == "40P01" || error.sqlstate() == "40001");
}

}  // namespace codops::migrate
