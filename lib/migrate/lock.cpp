#include "lib/migrate/lock.hpp"

#include <fmt/format.h>

#include "lib/base/retry.hpp"
#include "lib/base/units.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

std::vector<std::string> holders(pg::Connection& connection, std::int64_t id, const Limits& limits) {
  // A bigint key is stored as two halves, objsubid 1 (documentation of pg_locks).
  const auto rows = connection.query(
      "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND database = (SELECT oid FROM pg_database "
      "WHERE datname = current_database()) AND (classid::bigint << 32) | objid::bigint = $1",
      {std::to_string(id)}, limits);
  std::vector<std::string> pids;
  for (std::size_t i = 0; i < rows.size(); ++i) pids.emplace_back(rows.text(i, 0));
  return describe_backends(connection, pids, limits);
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

}  // namespace

std::vector<std::string> describe_backends(pg::Connection& connection, const std::vector<std::string>& pids, const Limits& limits) {
  if (pids.empty()) return {};
  std::string list;
  for (const auto& pid : pids) list += (list.empty() ? "{" : ",") + pid;
  const auto rows = connection.query(
      "SELECT pid, coalesce(nullif(application_name, ''), backend_type), coalesce(usename::text, ''), coalesce(host(client_addr), 'local'), "
      "coalesce(state, ''), (extract(epoch FROM clock_timestamp() - coalesce(xact_start, query_start, backend_start)) * 1000)::bigint, "
      "regexp_replace(left(coalesce(query, ''), 120), '\\s+', ' ', 'g') FROM pg_stat_activity WHERE pid = ANY ($1::int[]) ORDER BY 6 DESC",
      {list + "}"}, limits);
  std::vector<std::string> result;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    result.push_back(fmt::format("pid {} ({}, {}@{}, {}, {}): {}", rows.text(i, 0), rows.text(i, 1), rows.text(i, 2), rows.text(i, 3),
                                 rows.text(i, 4), format_duration(Milliseconds{rows.is_null(i, 5) ? 0 : rows.number(i, 5)}), rows.text(i, 6)));
  }
  return result;
}

AdvisoryLock AdvisoryLock::take(pg::Connection& connection, std::int64_t id, Milliseconds wait, Reporter& reporter, const Limits& limits) {
  const auto patience = limits.within(wait);
  Backoff backoff{Milliseconds{40}, Milliseconds{500}};
  bool reported = false;
  std::vector<std::string> holder;
  for (;;) {
    if (connection.query("SELECT CASE WHEN pg_try_advisory_lock($1) THEN pg_try_advisory_lock($1) ELSE false END", {std::to_string(id)}, limits).boolean(0, 0)) {
      AdvisoryLock lock;
      lock.connection_ = &connection;
      lock.id_ = id;
      lock.backend_ = connection.backend_pid();
      return lock;
    }
    if (auto now = holders(connection, id, limits); !now.empty()) holder = std::move(now);
    if (!reported && !holder.empty()) {
      reporter.note(fmt::format("waits up to {} for the migration lock, held by {}", format_duration(wait), joined(holder)));
      reported = true;
    }
    if (backoff.wait(patience)) continue;
    limits.check("the migration lock");
    throw Failure{Exit::locked, fmt::format("another run holds the migration lock (P1002): {}", holder.empty() ? "it just ended" : joined(holder)),
                  "wait longer with --lock-wait 5m, or end that process: SELECT pg_terminate_backend(PID)"};
  }
}

AdvisoryLock::AdvisoryLock(AdvisoryLock&& other) noexcept
    : connection_{std::exchange(other.connection_, nullptr)}, id_{other.id_}, backend_{other.backend_} {}

AdvisoryLock& AdvisoryLock::operator=(AdvisoryLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  connection_ = std::exchange(other.connection_, nullptr);
  id_ = other.id_;
  backend_ = other.backend_;
  return *this;
}

AdvisoryLock::~AdvisoryLock() { release(); }

// A backend that is gone has dropped the lock itself.
void AdvisoryLock::release() noexcept {
  if (connection_ == nullptr) return;
  try {
    if (connection_->usable() && connection_->backend_pid() == backend_) {
      const Limits limits{Deadline::after(std::chrono::seconds{5}), {}};
      connection_->query("SELECT pg_advisory_unlock($1), pg_advisory_unlock($1)", {std::to_string(id_)}, limits);
    }
  } catch (const std::exception&) {
  }
  connection_ = nullptr;
}

}  // namespace codops::migrate
