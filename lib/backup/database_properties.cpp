#include "lib/backup/database_properties.hpp"

#include <fmt/format.h>

#include <functional>
#include <set>

#include "lib/backup/database_settings.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;
using io::postgres::quote_identifier;
using io::postgres::quote_literal;

// `name`: the database that it is said of, quoted.
using Statement = std::function<std::string(const std::string& name)>;

// Settings whose value is a list of names are stored quoted as they must be written (guc.c, GUC_LIST_QUOTE).
bool is_list(const std::string& name) {
  static const std::set<std::string> lists{"local_preload_libraries", "search_path",    "session_preload_libraries",
                                           "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"};
  return lists.contains(name);
}

void add_settings(std::vector<Statement>& all, Connection& server, const std::string& from, std::string_view but, const Limits& limits) {
  const auto rows = server.query(
      "SELECT s.setrole = 0, COALESCE(r.rolname, ''), pg_catalog.unnest(s.setconfig)"
      " FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
      " LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole WHERE d.datname = $1",
      {from}, limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string setting{rows.text(i, 2)};
    const auto equals = setting.find('=');
    const auto name = setting.substr(0, equals), value = setting.substr(equals + 1);
    const bool own = rows.boolean(i, 0);
    if (own && name == but) continue;
    const auto whom = own ? std::string{"DATABASE "} : fmt::format("ROLE {} IN DATABASE ", quote_identifier(rows.text(i, 1)));
    const auto what = fmt::format("SET {} TO {}", quote_identifier(name), is_list(name) ? list_setting(value) : quote_literal(value));
    all.emplace_back([whom, what](const std::string& database) { return fmt::format("ALTER {}{} {}", whom, database, what); });
  }
}

// None at all is not the defaults: then only superusers get in.
void add_privileges(std::vector<Statement>& all, Connection& server, const std::string& from, const std::string& to, const Limits& limits) {
  const auto said = server.query("SELECT datacl IS NULL, pg_catalog.pg_get_userbyid(datdba), COALESCE((SELECT t.datdba = d.datdba FROM pg_catalog.pg_database t WHERE t.datname = $2), false)"
                                 " FROM pg_catalog.pg_database d WHERE datname = $1", {from, to}, limits);
  if (said.empty() || said.boolean(0, 0)) return;
  const auto add = [&](std::string before, std::string after) {
    all.emplace_back([before = std::move(before), after = std::move(after)](const std::string& database) { return before + database + after; });
  };
  add("REVOKE ALL ON DATABASE ", " FROM PUBLIC");
  // What the owner has is said too; another owner keeps what every owner has.
  if (said.boolean(0, 2)) add("REVOKE ALL ON DATABASE ", " FROM " + quote_identifier(said.text(0, 1)));
  const auto rows = server.query(
      "SELECT a.privilege_type, a.is_grantable, COALESCE(r.rolname, '') FROM pg_catalog.pg_database d,"
      " pg_catalog.aclexplode(d.datacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee WHERE d.datname = $1",
      {from}, limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto grantee = rows.text(i, 2).empty() ? std::string{"PUBLIC"} : quote_identifier(rows.text(i, 2));
    add(fmt::format("GRANT {} ON DATABASE ", rows.text(i, 0)), fmt::format(" TO {}{}", grantee, rows.boolean(i, 1) ? " WITH GRANT OPTION" : ""));
  }
}

std::vector<Statement> properties(Connection& server, const std::string& from, const std::string& to, std::string_view but, const Limits& limits) {
  std::vector<Statement> all;
  add_settings(all, server, from, but, limits);
  add_privileges(all, server, from, to, limits);
  const auto row = server.query("SELECT datconnlimit, datistemplate FROM pg_catalog.pg_database WHERE datname = $1", {from}, limits);
  all.emplace_back([most = row.number(0, 0)](const std::string& database) { return fmt::format("ALTER DATABASE {} CONNECTION LIMIT {}", database, most); });
  if (row.boolean(0, 1)) all.emplace_back([](const std::string& database) { return fmt::format("ALTER DATABASE {} IS_TEMPLATE true", database); });
  return all;
}

std::string refusal(const Statement& statement, const std::string& database, const io::postgres::DatabaseError& error) {
  return fmt::format("{}: {}", statement_kind(statement(quote_identifier(database))), error.message());
}

}  // namespace

std::vector<std::string> copy_properties(Connection& server, const std::string& from, const std::string& to, std::string_view but, const Limits& limits) {
  std::vector<std::string> refused;
  for (const auto& statement : properties(server, from, to, but, limits)) {
    try {
      server.run(statement(quote_identifier(to)), limits);
    } catch (const io::postgres::DatabaseError& error) {
      if (error.lost()) throw;
      refused.push_back(refusal(statement, from, error));
    }
  }
  return refused;
}

std::vector<std::string> refused_properties(Connection& server, const std::string& database, const Limits& limits) {
  std::vector<std::string> refused;
  if (server.query("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", limits).boolean(0, 0)) return refused;
  for (const auto& statement : properties(server, database, database, {}, limits)) {
    try {
      server.run(fmt::format("BEGIN; {}; ROLLBACK", statement(quote_identifier(database))), limits);
    } catch (const io::postgres::DatabaseError& error) {
      if (error.lost()) throw;
      server.run("ROLLBACK", limits);
      refused.push_back(refusal(statement, database, error));
    }
  }
  return refused;
}

std::string list_setting(std::string_view stored) {
  std::string text;
  for (std::size_t at = 0; at < stored.size();) {
    if (stored[at] == ' ' || stored[at] == ',') {
      ++at;
      continue;
    }
    std::string name;
    if (stored[at] == '"') {
      for (++at; at < stored.size(); ++at) {
        if (stored[at] == '"' && (at + 1 == stored.size() || stored[++at] != '"')) break;
        name += stored[at];
      }
      if (at < stored.size() && stored[at] == '"') ++at;
    } else {
      const auto end = std::min(stored.find(',', at), stored.size());
      name = stored.substr(at, end - at);
      while (name.ends_with(' ')) name.pop_back();
      at = end;
    }
    text += (text.empty() ? "" : ", ") + quote_literal(name);
  }
  return text.empty() ? "''" : text;
}

}  // namespace codops::backup
