#include "lib/backup/swap.hpp"

#include <fmt/ranges.h>

#include "lib/backup/half_restored.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;
using io::postgres::quote_identifier;
using io::postgres::quote_literal;

constexpr std::size_t longest_name = 63;
constexpr std::string_view object_in_use = "55006", not_ours_to_end = "42501";
constexpr std::string_view aside_word = "before";

void allow_connections(Connection& server, const std::string& database, bool allowed, const Limits& limits) {
  server.run(fmt::format("ALTER DATABASE {} ALLOW_CONNECTIONS {}", quote_identifier(database), allowed), limits);
}

// Settings whose value is a list of names are stored quoted as they must be written (guc.c, GUC_LIST_QUOTE).
bool is_list(const std::string& name) {
  static const std::set<std::string> lists{"local_preload_libraries", "search_path",    "session_preload_libraries",
                                           "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"};
  return lists.contains(name);
}

void copy_settings(Connection& server, const std::string& from, const std::string& to, std::string_view but, const Limits& limits) {
  const auto rows = server.query(
      "SELECT s.setrole = 0, COALESCE(r.rolname, ''), pg_catalog.unnest(s.setconfig)"
      " FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
      " LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole WHERE d.datname = $1",
      {from}, limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string setting{rows.text(i, 2)};
    const auto equals = setting.find('=');
    const auto name = setting.substr(0, equals), value = setting.substr(equals + 1);
    if (name == but) continue;
    const auto whom = rows.boolean(i, 0)
                          ? fmt::format("DATABASE {}", quote_identifier(to))
                          : fmt::format("ROLE {} IN DATABASE {}", quote_identifier(rows.text(i, 1)), quote_identifier(to));
    server.run(fmt::format("ALTER {} SET {} TO {}", whom, quote_identifier(name), is_list(name) && !value.empty() ? value : quote_literal(value)),
               limits);
  }
}

void copy_privileges(Connection& server, const std::string& from, const std::string& to, const Limits& limits) {
  const auto rows = server.query(
      "SELECT a.privilege_type, a.is_grantable, COALESCE(r.rolname, '') FROM pg_catalog.pg_database d,"
      " pg_catalog.aclexplode(d.datacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee"
      " WHERE d.datname = $1 AND d.datacl IS NOT NULL",
      {from}, limits);
  if (rows.empty()) return;  // the defaults
  server.run(fmt::format("REVOKE ALL ON DATABASE {} FROM PUBLIC", quote_identifier(to)), limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto grantee = rows.text(i, 2).empty() ? std::string{"PUBLIC"} : quote_identifier(rows.text(i, 2));
    server.run(fmt::format("GRANT {} ON DATABASE {} TO {}{}", rows.text(i, 0), quote_identifier(to), grantee,
                           rows.boolean(i, 1) ? " WITH GRANT OPTION" : ""),
               limits);
  }
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
  return std::string{database.substr(0, longest_name - suffix.size())} + suffix;
}

bool database_exists(Connection& server, const std::string& name, const Limits& limits) {
  return !server.query("SELECT FROM pg_catalog.pg_database WHERE datname = $1", {name}, limits).empty();
}

DatabaseShape shape_of(Connection& server, const std::string& database, const Limits& limits) {
  const auto row = server.query(
      "SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, pg_catalog.pg_get_userbyid(datdba)"
      " FROM pg_catalog.pg_database WHERE datname = $1",
      {database}, limits);
  if (row.empty()) return {};
  return {std::string{row.text(0, 0)}, std::string{row.text(0, 1)}, std::string{row.text(0, 2)}, std::string{row.text(0, 3)}};
}

void create_database(Connection& server, const std::string& name, const DatabaseShape& shape, const Limits& limits) {
  auto sql = fmt::format("CREATE DATABASE {} TEMPLATE template0", quote_identifier(name));
  if (!shape.encoding.empty()) sql += " ENCODING " + quote_literal(shape.encoding);
  if (!shape.collate.empty()) sql += " LC_COLLATE " + quote_literal(shape.collate);
  if (!shape.ctype.empty()) sql += " LC_CTYPE " + quote_literal(shape.ctype);
  if (!shape.owner.empty()) sql += " OWNER " + quote_identifier(shape.owner);
  server.run(sql, limits);
}

void drop_database(Connection& server, const std::string& name, const Limits& limits) {
  server.run(fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote_identifier(name)), limits);
}

void copy_properties(Connection& server, const std::string& from, const std::string& to, std::string_view but, const Limits& limits) {
  copy_settings(server, from, to, but, limits);
  copy_privileges(server, from, to, limits);
  const auto row = server.query("SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = $1", {from}, limits);
  server.run(fmt::format("ALTER DATABASE {} CONNECTION LIMIT {}", quote_identifier(to), row.number(0, 0)), limits);
}

std::string comment_of(Connection& server, const std::string& database, const Limits& limits) {
  const auto row = server.query("SELECT COALESCE(pg_catalog.shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database WHERE datname = $1",
                                {database}, limits);
  auto comment = row.empty() ? std::string{} : std::string{row.text(0, 0)};
  const auto half = parse_half_restored(comment);
  return half ? half->comment : comment;
}

void swap_databases(Connection& server, const Swap& swap, const Limits& limits) {
  const auto live = quote_identifier(swap.live), aside = quote_identifier(swap.aside);
  auto sql = fmt::format("BEGIN; ALTER DATABASE {0} RENAME TO {1}; ALTER DATABASE {2} RENAME TO {0}; ALTER DATABASE {1} ALLOW_CONNECTIONS true;"
                         " ALTER DATABASE {0} ALLOW_CONNECTIONS true; COMMENT ON DATABASE {0} IS {3};",
                         live, aside, quote_identifier(swap.fresh), swap.comment.empty() ? std::string{"NULL"} : quote_literal(swap.comment));
  if (swap.reset_read_only) sql += fmt::format(" ALTER DATABASE {} RESET {};", aside, read_only_setting);
  sql += " COMMIT";
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
        if (attempt >= 5 || !backoff.wait(limits)) throw;
      }
    }
  } catch (...) {
    // The run's own limits may be what ended it: the live database must be reachable again all the same.
    const auto rescue = Limits{}.within(Milliseconds{20'000});
    auto again = Connection::open(server.target(), rescue);
    if (database_exists(again, swap.live, rescue)) allow_connections(again, swap.live, true, rescue);
    throw;
  }
}

std::vector<std::string> all_put_aside(Connection& server, const std::string& live, const Limits& limits) {
  // side_name() may have shortened the front; the stamp sorts by time.
  std::vector<std::string> aside;
  const auto rows = server.query("SELECT datname FROM pg_catalog.pg_database ORDER BY datname DESC", limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string name{rows.text(i, 0)};
    const auto expected = side_name(live, aside_word, WallTime{});
    const auto front = expected.substr(0, expected.size() - stamp_length);
    if (name.size() == expected.size() && name.starts_with(front) && is_stamp(std::string_view{name}.substr(front.size()))) aside.push_back(name);
  }
  return aside;
}

std::optional<std::string> put_aside(Connection& server, const std::string& live, const Limits& limits) {
  const auto all = all_put_aside(server, live, limits);
  return all.empty() ? std::nullopt : std::optional{all.front()};
}

}  // namespace codops::backup
