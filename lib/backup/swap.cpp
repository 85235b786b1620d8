#include "lib/backup/swap.hpp"

#include <fmt/ranges.h>

#include "lib/backup/half_restored.hpp"
#include "lib/backup/passed.hpp"
#include "lib/backup/rescue.hpp"
#include "lib/backup/session.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/io/crypto.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;
using io::postgres::quote_identifier;
using io::postgres::quote_literal;

constexpr std::size_t longest_name = 63;
constexpr std::string_view object_in_use = "55006", not_ours_to_end = "42501";

void allow_connections(Connection& server, const std::string& database, bool allowed, const Limits& limits) {
  server.run(fmt::format("ALTER DATABASE {} ALLOW_CONNECTIONS {}", quote_identifier(database), allowed), limits);
}

}  // namespace

std::vector<std::string> end_sessions(Connection& server, const std::string& database, const Limits& limits) {
  // One by one: a superuser's session, which another role may not end, must not keep those after it alive. Only autovacuum's have no user.
  const auto sessions = server.query("SELECT pid, COALESCE(usename, '') FROM pg_catalog.pg_stat_activity"
                                     " WHERE datname = $1 AND pid <> pg_catalog.pg_backend_pid() AND usesysid IS NOT NULL ORDER BY pid",
                                     {database}, limits);
  std::vector<std::string> staying;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    const std::string pid{sessions.text(i, 0)};
    try {
      server.query("SELECT pg_catalog.pg_terminate_backend($1::int)", {pid}, limits);
    } catch (const io::postgres::DatabaseError& error) {
      if (error.lost() || error.sqlstate() != not_ours_to_end) throw;
      staying.push_back(fmt::format("session {} of {}", pid, sessions.text(i, 1)));
    }
  }
  return staying;
}

Failure sessions_stay(const Connection& server, const std::string& database, const std::vector<std::string>& staying) {
  return {Exit::failed, fmt::format("\"{}\" is in use by what role \"{}\" may not end: {}; it serves as before", database, server.target().user, fmt::join(staying, ", ")),
          "end it there, or restore as its role or as a superuser"};
}

std::string stamp_of(WallTime time) {
  auto stamp = to_rfc3339(time).substr(0, std::string_view{"2026-11-23T10:15:00.250"}.size());
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  std::replace_if(stamp.begin(), stamp.end(), [](char c) { return c == 'T' || c == '.'; }, '_');
  return stamp;
}

bool is_stamp(std::string_view text) {
  if (text.size() != stamp_length) return false;
  for (std::size_t i = 0; i < stamp_length; ++i) {
    if (i == 8 || i == 15 ? text[i] != '_' : text[i] < '0' || text[i] > '9') return false;
  }
  const auto time = parse_rfc3339(fmt::format("{}-{}-{}T{}:{}:{}.{}Z", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2), text.substr(9, 2),
                                              text.substr(11, 2), text.substr(13, 2), text.substr(16)));
  return time && stamp_of(*time) == text;
}

std::string side_name(std::string_view database, std::string_view word, WallTime time) {
  const auto suffix = fmt::format("_{}_{}", word, stamp_of(time));
  if (database.size() + suffix.size() <= longest_name) return std::string{database} + suffix;
  // Others may begin with the same characters.
  const auto tag = "~" + io::Sha256{}.update(database).hex().substr(0, 8);
  // Never within a character.
  std::size_t end = 0;
  while (end < database.size()) {
    const auto length = std::max<std::size_t>(1, text::character_length(database.substr(end)));
    if (end + length > longest_name - suffix.size() - tag.size()) break;
    end += length;
  }
  return std::string{database.substr(0, end)} + tag + suffix;
}

bool database_exists(Connection& server, const std::string& name, const Limits& limits) {
  return !server.query("SELECT FROM pg_catalog.pg_database WHERE datname = $1", {name}, limits).empty();
}

DatabaseShape shape_of(Connection& server, const std::string& database, const Limits& limits) {
  // The columns have come and changed their names with the versions: pg_database.h.
  const int major = server.server_version() / 10000;
  const auto* provider = major >= 15 ? "CASE datlocprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END" : "''";
  const auto* locale = major >= 17 ? "datlocale" : major >= 15 ? "daticulocale" : "''";
  const auto row = server.query(
      fmt::format("SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, pg_catalog.pg_get_userbyid(datdba), {}, COALESCE({}, ''),"
                  " COALESCE({}, ''), (SELECT spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = dattablespace)"
                  " FROM pg_catalog.pg_database WHERE datname = $1",
                  provider, locale, major >= 16 ? "daticurules" : "''"),
      {database}, limits);
  if (row.empty()) return {};
  const auto text = [&](std::size_t column) { return std::string{row.text(0, column)}; };
  return {text(0), text(1), text(2), text(3), {text(4), text(5), text(6)}, text(7)};
}

DatabaseShape shape_of(const DatabaseIdentity& identity) {
  return {identity.encoding, identity.collate, identity.ctype, identity.owner, identity.locale, identity.tablespace};
}

bool tablespace_usable(Connection& server, const std::string& name, const Limits& limits) {
  return !server.query("SELECT FROM pg_catalog.pg_tablespace WHERE spcname = $1 AND pg_catalog.has_tablespace_privilege(oid, 'CREATE')", {name}, limits).empty();
}

void create_database(Connection& server, const std::string& name, const DatabaseShape& shape, const Limits& limits) {
  auto sql = fmt::format("CREATE DATABASE {} TEMPLATE template0", quote_identifier(name));
  if (!shape.encoding.empty()) sql += " ENCODING " + quote_literal(shape.encoding);
  if (!shape.collate.empty()) sql += " LC_COLLATE " + quote_literal(shape.collate);
  if (!shape.ctype.empty()) sql += " LC_CTYPE " + quote_literal(shape.ctype);
  // A server may have been made with another provider than this database's, libc's included.
  if (!shape.locale.provider.empty() && server.server_version() >= 150'000) {
    sql += " LOCALE_PROVIDER " + quote_literal(shape.locale.provider);
    const auto* named = shape.locale.provider == "builtin" ? " BUILTIN_LOCALE " : " ICU_LOCALE ";
    if (!shape.locale.name.empty()) sql += named + quote_literal(shape.locale.name);
    if (!shape.locale.rules.empty()) sql += " ICU_RULES " + quote_literal(shape.locale.rules);
  }
  if (!shape.owner.empty()) sql += " OWNER " + quote_identifier(shape.owner);
  // To name the default one asks for a privilege on it that going without a name does not.
  if (!shape.tablespace.empty() && shape.tablespace != "pg_default") sql += " TABLESPACE " + quote_identifier(shape.tablespace);
  server.run(sql, limits);
}

namespace {

// A subscription lies in its database and holds it; the slot is the publisher's, and belongs to the database that it was dumped from.
void drop_subscriptions(Connection& server, const std::string& database, const Limits& limits) {
  const auto subscriptions = server.query("SELECT s.subname, s.subenabled FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = $1",
                                          {database}, limits);
  if (subscriptions.empty()) return;
  auto target = server.target();
  target.database = database;
  target.schema.clear();
  auto inside = open_session(target, limits);
  for (std::size_t i = 0; i < subscriptions.size(); ++i) {
    const auto name = quote_identifier(subscriptions.text(i, 0));
    if (subscriptions.boolean(i, 1)) inside.run(fmt::format("ALTER SUBSCRIPTION {} DISABLE", name), limits);
    inside.run(fmt::format("ALTER SUBSCRIPTION {} SET (slot_name = NONE)", name), limits);
    inside.run(fmt::format("DROP SUBSCRIPTION {}", name), limits);
  }
}

}  // namespace

void drop_database(Connection& server, const std::string& name, const Limits& limits) {
  drop_subscriptions(server, name, limits);
  if (!server.query("SELECT FROM pg_catalog.pg_database WHERE datname = $1 AND datistemplate", {name}, limits).empty()) {
    server.run(fmt::format("ALTER DATABASE {} IS_TEMPLATE false", quote_identifier(name)), limits);
  }
  Backoff backoff{Milliseconds{50}, Milliseconds{500}};
  for (int attempt = 0;; ++attempt) {
    // A session that has no role yet, as each has when it begins, is nobody's to end: without FORCE the server waits 5 s for it to go.
    const bool force = attempt % 2 == 0;
    try {
      server.run(fmt::format("DROP DATABASE IF EXISTS {}{}", quote_identifier(name), force ? " WITH (FORCE)" : ""), limits);
      return;
    } catch (const io::postgres::DatabaseError& error) {
      if (error.lost() || attempt >= 5 || (error.sqlstate() != not_ours_to_end && error.sqlstate() != object_in_use) || !backoff.wait(limits)) throw;
    }
  }
}

std::string comment_of(Connection& server, const std::string& database, const Limits& limits) {
  auto comment = whole_comment_of(server, database, limits);
  const auto half = parse_half_restored(comment);
  if (half) return half->comment;
  const auto passed = parse_passed(comment);
  return passed ? passed->comment : comment;
}

std::string whole_comment_of(Connection& server, const std::string& database, const Limits& limits) {
  const auto row = server.query("SELECT COALESCE(pg_catalog.shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database WHERE datname = $1", {database}, limits);
  return row.empty() ? std::string{} : std::string{row.text(0, 0)};
}

namespace {

// Which sessions or transactions are in the way is in what PostgreSQL adds to its error.
Failure explained(const Failure& failure) {
  const auto* error = dynamic_cast<const io::postgres::DatabaseError*>(&failure);
  if (error == nullptr || error->diagnostic().detail.empty()) return failure;
  return {failure.code(), fmt::format("{}: {}", failure.message(), error->diagnostic().detail), failure.hint()};
}

// A prepared transaction has no session that could be ended.
bool holds_prepared(Connection& server, const Swap& swap, const Limits& limits) {
  return !server.query("SELECT FROM pg_catalog.pg_prepared_xacts WHERE database IN ($1, $2)", {swap.live, swap.fresh}, limits).empty();
}

// The run's own limits, or a server that restarts, may be what ended the swap: the live database must be reachable again all the
// same. True: the swap was complete, and only the server's answer was lost.
bool open_again(const Connection& server, const Swap& swap, const Failure& failure) {
  bool complete = false;
  const auto why = put_right(server.target(), Limits{}.within(rescue_patience), [&](Connection& again, const Limits& limits) {
    complete = database_exists(again, swap.aside, limits) && !database_exists(again, swap.fresh, limits);
    if (!complete && database_exists(again, swap.live, limits)) allow_connections(again, swap.live, true, limits);
  });
  if (!why) return complete;
  throw Failure{Exit::undo_failed, fmt::format("{}; \"{}\" may be closed to new connections, which could not be undone: {}", explained(failure).message(), swap.live, *why),
                fmt::format("once the server answers: ALTER DATABASE {} ALLOW_CONNECTIONS true; the next backup or restore does it too", quote_identifier(swap.live))};
}

}  // namespace

void swap_databases(Connection& server, const Swap& swap, const Limits& limits) {
  const auto live = quote_identifier(swap.live), aside = quote_identifier(swap.aside);
  auto sql = fmt::format("BEGIN; ALTER DATABASE {0} RENAME TO {1}; ALTER DATABASE {2} RENAME TO {0}; ALTER DATABASE {1} ALLOW_CONNECTIONS true;"
                         " ALTER DATABASE {0} ALLOW_CONNECTIONS true; COMMENT ON DATABASE {0} IS {3};",
                         live, aside, quote_identifier(swap.fresh), swap.comment.empty() ? std::string{"NULL"} : quote_literal(swap.comment));
  if (swap.reset_read_only) sql += fmt::format(" ALTER DATABASE {} RESET {};", aside, read_only_setting);
  sql += swap.also + " COMMIT";
  try {
    allow_connections(server, swap.live, false, limits);
    Backoff backoff{Milliseconds{20}, Milliseconds{500}};
    for (int attempt = 0;; ++attempt) {
      auto staying = end_sessions(server, swap.live, limits);
      for (auto& session : end_sessions(server, swap.fresh, limits)) staying.push_back(std::move(session));
      try {
        server.run(sql, limits);
        break;
      } catch (const io::postgres::DatabaseError& error) {
        if (error.lost()) throw;
        server.run("ROLLBACK", limits);
        // A session that was told to end may take a moment to be gone.
        if (error.sqlstate() != object_in_use) throw;
        // The server itself has waited for 5 s, and nobody gets in meanwhile: who may not be ended will not leave now.
        if (!staying.empty()) throw sessions_stay(server, swap.live, staying);
        if (attempt >= 5 || holds_prepared(server, swap, limits) || !backoff.wait(limits)) throw;
      }
    }
  } catch (const Failure& failure) {
    if (!open_again(server, swap, failure)) throw explained(failure);
  }
}

std::vector<std::string> all_put_aside(Connection& server, const std::string& live, std::string_view word, const Limits& limits) {
  // side_name() may have shortened the front; the stamp sorts by time.
  std::vector<std::string> aside;
  const auto rows = server.query("SELECT datname FROM pg_catalog.pg_database ORDER BY datname DESC", limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string name{rows.text(i, 0)};
    const auto expected = side_name(live, word, WallTime{});
    const auto front = expected.substr(0, expected.size() - stamp_length);
    if (name.size() == expected.size() && name.starts_with(front) && is_stamp(std::string_view{name}.substr(front.size()))) aside.push_back(name);
  }
  return aside;
}

std::string stamp_text(std::string_view stamp) {
  return fmt::format("{}-{}-{} {}:{}:{} UTC", stamp.substr(0, 4), stamp.substr(4, 2), stamp.substr(6, 2), stamp.substr(9, 2), stamp.substr(11, 2), stamp.substr(13, 2));
}

}  // namespace codops::backup
