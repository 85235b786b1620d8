#include "lib/backup/restore_steps.hpp"

#include <fmt/format.h>

#include <set>

#include "lib/backup/session.hpp"
#include "lib/base/retry.hpp"

namespace codops::backup {

using io::postgres::Connection;
using io::postgres::Target;

Connection open_beside(const Target& target, const std::string& database, const Limits& limits) {
  constexpr auto usual = "postgres", always = "template1";
  auto other = target;
  other.schema.clear();
  if (database != usual) {
    other.database = usual;
    try {
      return open_session(other, limits);
    } catch (const io::postgres::DatabaseError& error) {
      // It is not there, takes no connections, or none of this role.
      static const std::set<std::string> closed{"3D000", "55000", "42501", "28000"};
      if (!closed.contains(error.sqlstate()) || database == always) throw;
      other.database = always;
      try {
        return open_session(other, limits);
      } catch (const io::postgres::DatabaseError&) {
        throw error;
      }
    }
  }
  other.database = always;
  return open_session(other, limits);
}

Target in_database(const Target& target, const std::string& name) {
  auto other = target;
  other.database = name;
  other.schema.clear();
  return other;
}

namespace {
constexpr auto lock_key = "pg_catalog.hashtextextended('codops restore ' || $1, 0)";
}  // namespace

bool try_lock_restore(Connection& server, const std::string& live, const Limits& limits) {
  return server.query(fmt::format("SELECT pg_catalog.pg_try_advisory_lock({})", lock_key), {live}, limits).boolean(0, 0);
}

void unlock_restore(Connection& server, const std::string& live, const Limits& limits) {
  server.query(fmt::format("SELECT pg_catalog.pg_advisory_unlock({})", lock_key), {live}, limits);
}

void lock_restore(Connection& server, const std::string& live, const Limits& limits) {
  // The session of a restore that was killed ends when its statement does.
  const auto patience = limits.within(Milliseconds{15'000});
  Backoff backoff{Milliseconds{40}, Milliseconds{500}};
  while (!try_lock_restore(server, live, limits)) {
    if (backoff.wait(patience)) continue;
    limits.check("the restore's lock");
    // A bigint key is stored as two halves, objsubid 1 (documentation of pg_locks).
    const auto holder = server.query(
        fmt::format("SELECT a.pid, coalesce(pg_catalog.host(a.client_addr), 'local'), a.backend_start::timestamptz(0)::text FROM pg_catalog.pg_locks l "
                    "JOIN pg_catalog.pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
                    "AND (l.classid::bigint << 32) | l.objid::bigint = {}", lock_key),
        {live}, limits);
    const auto who = holder.empty() ? std::string{} : fmt::format(": session {} from {}, since {}", holder.text(0, 0), holder.text(0, 1), holder.text(0, 2));
    throw Failure{Exit::locked, fmt::format("another restore of \"{}\" is running{}", live, who),
                  holder.empty() ? "wait for it" : fmt::format("wait for it; if it is known to be dead: SELECT pg_terminate_backend({})", holder.text(0, 0))};
  }
}

bool speak_money(Connection& server, const std::string& database, const std::string& lc_monetary, const Limits& limits) {
  if (lc_monetary.empty() || server.query("SELECT pg_catalog.current_setting('lc_monetary')", limits).text(0, 0) == lc_monetary) return false;
  try {
    server.run(fmt::format("ALTER ROLE CURRENT_USER IN DATABASE {} SET lc_monetary TO {}", io::postgres::quote_identifier(database), io::postgres::quote_literal(lc_monetary)), limits);
    return true;
  } catch (const io::postgres::DatabaseError& error) {
    if (error.lost()) throw;
    return false;
  }
}

void forget_money(Connection& server, const std::string& database, const Limits& limits) {
  server.run(fmt::format("ALTER ROLE CURRENT_USER IN DATABASE {} RESET lc_monetary", io::postgres::quote_identifier(database)), limits);
}

std::vector<const Part*> database_parts(const Manifest& manifest) {
  std::vector<const Part*> parts;
  for (const auto& part : manifest.parts) {
    if (part.kind == "archive" || part.kind == "rows") parts.push_back(&part);
  }
  if (parts.empty()) {
    for (const auto& part : manifest.parts) {
      if (part.kind == "sql") parts.push_back(&part);
    }
  }
  if (parts.empty()) throw Failure{Exit::data, fmt::format("backup {} has no database", manifest.label)};
  return parts;
}

std::optional<Failure> into_taken(const RestoreRequest& request, Connection& server, const Limits& limits) {
  if (request.into.empty() || !database_exists(server, request.into, limits)) return std::nullopt;
  return Failure{Exit::usage, fmt::format("database \"{}\" exists", request.into), "name one that does not, with --into"};
}

void Steps::step(const std::string& name, const std::function<std::string()>& work) {
  const auto started = clock_.steady();
  const auto elapsed = [&] { return std::chrono::duration_cast<Milliseconds>(clock_.steady() - started); };
  report(Event::Kind::started, name, {}, {});
  try {
    auto said = work();
    report(Event::Kind::done, name, std::move(said), elapsed());
  } catch (const Failure& failure) {
    report(Event::Kind::failed, name, failure.message(), elapsed());
    throw;
  }
}

void Steps::report(Event::Kind kind, const std::string& name, std::string text, std::optional<Milliseconds> took) {
  Event event;
  event.kind = kind;
  event.step = name;
  event.text = std::move(text);
  event.elapsed = took;
  reporter_.report(event);
}

Fresh::~Fresh() {
  if (!made_) return;
  // Its comment says what it is, for whoever comes next.
  rescue_.attempt(fmt::format("\"{}\", which was being filled, is left", name_),
                  fmt::format("DROP DATABASE {} WITH (FORCE); the next backup or restore does it too", io::postgres::quote_identifier(name_)),
                  [&](Connection& server, const Limits& limits) { drop_database(server, name_, limits); });
}

void Fresh::create(Connection& server, const DatabaseShape& shape, const Limits& limits) {
  constexpr std::string_view is_there = "42P04";
  made_ = true;
  try {
    create_database(server, name_, shape, limits);
  } catch (const io::postgres::DatabaseError& error) {
    if (error.sqlstate() == is_there) made_ = false;
    throw;
  }
}

ApplicationHeld::~ApplicationHeld() {
  if (!active_ || !hooks_.start) return;
  try {
    hooks_.start(Limits{}.within(Milliseconds{120'000}));
  } catch (const std::exception&) {
    // The failure that brought us here is the one to tell.
  }
}

void ApplicationHeld::stop(const Limits& limits) {
  active_ = true;
  hooks_.stop(limits);
}

std::string ApplicationHeld::start_or_tell(const Limits& limits) {
  if (!active_) return {};
  try {
    if (hooks_.start) hooks_.start(limits);
    active_ = false;
    return {};
  } catch (Failure& failure) {
    try {
      limits.check("starting the application");
    } catch (Failure& ended) {
      ended.add_context("what was wanted is done and live, and only the application may not run yet");
      throw;
    }
    active_ = false;
    return fmt::format("the application could not be started: {}{}", failure.message(), failure.hint().empty() ? "" : " (" + failure.hint() + ")");
  }
}

ReadOnly::~ReadOnly() {
  if (!active_) return;
  const auto done = rescue_.attempt(fmt::format("\"{}\" still refuses writes", database_),
                                    fmt::format("ALTER DATABASE {} RESET {}, then reconnect; the next backup or restore does it too", io::postgres::quote_identifier(database_), read_only_setting),
                                    [&](Connection& server, const Limits& limits) { make_writable(server, database_, limits); });
  // Without its mark the next run would not know.
  if (!done) fresh_.keep();
}

void ReadOnly::begin(Connection& server, const Limits& limits) {
  if (is_read_only(server, database_, limits)) return;  // by somebody else's will
  active_ = true;
  make_read_only(server, database_, limits);
}

}  // namespace codops::backup
