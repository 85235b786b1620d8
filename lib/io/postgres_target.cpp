#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "lib/base/percent.hpp"
#include "lib/io/postgres.hpp"
#include "lib/io/postgres_environment.hpp"
#include "lib/io/postgres_hosts.hpp"
#include "lib/io/postgres_library.hpp"
#include "lib/io/probe.hpp"

namespace codops::io::postgres {

namespace {

constexpr std::array dropped_parameters{
    "connection_limit",
    "pool_timeout",
    "socket_timeout",
    "statement_cache_size",
    "max_idle_connection_lifetime",
    "single_use_connections",
    "max_connection_lifetime",
    "sslidentity",
    "pool_size",
    "uselibpqcompat",
    "pool",
    "prepared_statements",
    "reaping_frequency",
    "checkout_timeout",
    "idle_timeout",
};

struct OptionsFree {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, OptionsFree>;

bool is_libpq_keyword(std::string_view word) {
  const Options defaults{PQconndefaults()};
  for (const auto* option = defaults.get(); option != nullptr && option->keyword != nullptr; ++option) {
    if (word == option->keyword) return true;
  }
  return word == "ssl";  // libpq reads ssl=true in URLs as sslmode=require
}

// Prisma has no key beside its certificate, names no other authority, and knows no verify-ca and verify-full.
bool says_it_in_libpqs_words(std::string_view query) {
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.starts_with("sslkey=") || pair.starts_with("sslrootcert=") || pair.starts_with("sslmode=verify-")) return true;
  }
  return false;
}

// golang-migrate takes these for itself, and only these.
bool is_golang_migrates(std::string_view key) { return key.starts_with("x-"); }

// As it reads x-migrations-table, with x-migrations-table-quoted: "schema"."table" or "table".
void set_history_table(Target& target, const std::string& value, bool quoted, std::string_view name) {
  if (!quoted) {
    target.history_table = value;
    return;
  }
  std::vector<std::string> parts;
  for (auto open = value.find('"'); open != std::string::npos; open = value.find('"', open)) {
    const auto close = value.find('"', open + 1);
    if (close == std::string::npos) break;
    parts.push_back(value.substr(open + 1, close - open - 1));
    open = close + 1;
  }
  if (!value.starts_with('"') || !value.ends_with('"') || parts.empty() || parts.size() > 2) {
    throw Failure{Exit::config, std::string{name} + " has an x-migrations-table that is not \"schema\".\"table\"", "as x-migrations-table-quoted says; percent-encoded: %22ops%22.%22schema_migrations%22"};
  }
  target.history_table = parts.back();
  if (parts.size() == 2) target.history_schema = parts.front();
}

// Takes Prisma's parameters out of a URL's query and returns what libpq understands.
std::string translated_url(std::string_view url, Target& target, std::string_view name) {
  auto scheme_end = url.find("://");
  std::string result{"postgresql"};
  const auto question = url.find('?', scheme_end);
  result += url.substr(scheme_end, question == std::string_view::npos ? std::string_view::npos : question - scheme_end);
  if (question == std::string_view::npos) return result;

  std::string_view query = url.substr(question + 1);
  query = query.substr(0, query.find('#'));
  const bool is_libpqs = says_it_in_libpqs_words(query);
  std::string history_table;
  bool quoted = false;
  char separator = '?';
  const auto keep = [&](std::string_view key, std::string_view value) {
    result += separator;
    separator = '&';
    result.append(key).append("=").append(value);
  };
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    const auto key = pair.substr(0, equals);
    const auto value = pair.substr(std::min(equals + 1, pair.size()));
    if (key == "schema" || key == "currentSchema") {
      target.schema = percent_decoded(value);
    } else if (key == "pgbouncer") {
      target.pooled = value == "true";
    } else if (key == "sslcert" && !is_libpqs) {
      // Prisma calls the certificate of the authority so; libpq's sslcert is the client's own.
      keep("sslrootcert", value);
    } else if (key == "sslaccept") {
      if (value == "strict") keep("sslmode", "verify-full");
    } else if (key == "ssl") {
      // node-postgres and JDBC.
      if (value == "true" || value == "1") keep("sslmode", "require");
    } else if (key == "sslmode" && value == "no-verify") {
      keep("sslmode", "require");
    } else if (key == "x-migrations-table") {
      history_table = percent_decoded(value);
    } else if (key == "x-migrations-table-quoted") {
      quoted = value == "1" || value == "t" || value == "T" || value == "true" || value == "TRUE" || value == "True";
    } else if (is_golang_migrates(key) || std::find(dropped_parameters.begin(), dropped_parameters.end(), key) != dropped_parameters.end()) {
      continue;
    } else if (!is_libpq_keyword(key)) {
      throw Failure{Exit::config, std::string{name} + " has the parameter \"" + std::string{key} +
                                      "\", which neither Prisma nor PostgreSQL knows", "take it out of the URL"};
    } else {
      keep(key, value);
    }
  }
  if (!history_table.empty()) set_history_table(target, history_table, quoted, name);
  return result;
}

bool is_known_parameter(std::string_view key) {
  constexpr std::array ours{"schema", "currentSchema", "pgbouncer", "sslaccept", "x-migrations-table", "x-migrations-table-quoted"};
  return std::find(ours.begin(), ours.end(), key) != ours.end() || std::find(dropped_parameters.begin(), dropped_parameters.end(), key) != dropped_parameters.end() || is_libpq_keyword(key);
}

bool parameters_are_known(std::string_view rest) {
  const auto question = rest.find('?');
  if (question == std::string_view::npos) return true;
  rest = rest.substr(question + 1, rest.substr(question + 1).find('#'));
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    if (!pair.empty() && !is_known_parameter(pair.substr(0, pair.find('=')))) return false;
  }
  return true;
}

bool is_url(std::string_view text) {
  const auto end = text.find("://");
  if (end == std::string_view::npos) return false;
  const auto scheme = text.substr(0, end);
  return scheme == "postgres" || scheme == "postgresql" || scheme.starts_with("postgresql+") ||
         scheme.starts_with("postgres+");
}

}  // namespace

Target parse_target(std::string_view text, std::string_view name) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  if (text.empty()) throw Failure{Exit::config, std::string{name} + " is empty"};
  const auto unreadable = [&] {
    return Failure{Exit::config, std::string{name} + " can't be read as a PostgreSQL URL",
                   "write special characters of the password as %XX: \"@\" is %40, \"/\" is %2F, \"%\" is %25"};
  };
  require_library();
  Target target;
  std::string conninfo;
  if (is_url(text)) {
    // An '@' only after the authority: a '/' or '?' of the password ended it too early, and the rest would be shown as
    // database or parameter.
    const auto start = text.find("://") + 3;
    const auto end = std::min(text.find_first_of("/?", start), text.size());
    const auto path_end = std::min(text.find_first_of("?#", end), text.size());
    const auto authority = text.substr(start, end - start);
    const auto colon = authority.rfind(':');
    const bool no_port = colon != std::string_view::npos && !authority.ends_with(']') &&
                         authority.find_first_not_of("0123456789,:", colon) != std::string_view::npos;
    const auto late = authority.find('@') == std::string_view::npos ? text.find('@', end) : std::string_view::npos;
    if (late != std::string_view::npos && (late < path_end || no_port)) throw unreadable();
    // The same of a password that has an '@' too, or was a number so far.
    const auto path = text.substr(end, path_end - end);
    if (path.find('@') != std::string_view::npos || (path.empty() && late != std::string_view::npos)) throw unreadable();
    if (end < text.size() && !parameters_are_known(text.substr(end)) && text.find('@', end) != std::string_view::npos) throw unreadable();
    // `user:pa@ss?x=y@host:5432/db`: what follows the last '@' of a parameter looks like a server.
    // Without a user before the host no password has been cut: "postgresql:///d?password=x@y/z" says what it says.
    const bool has_user = authority.find_first_of("@:") != std::string_view::npos;
    const auto last = !has_user || text.find('@', path_end) == std::string_view::npos ? text.size() : text.rfind('@');
    const auto server = text.substr(last);
    if (server.substr(0, server.find('&')).find_first_of(":/") != std::string_view::npos) throw unreadable();
    conninfo = translated_url(text, target, name);
  } else if (text.find("://") != std::string_view::npos) {
    throw Failure{Exit::config,
                  std::string{name} + " is not a PostgreSQL URL: its scheme is \"" +
                      std::string{text.substr(0, text.find("://"))} + "\"",
                  "postgresql://user:password@host:5432/database"};
  } else {
    conninfo = text;
  }
  // libpq's own message may quote a part of the password, so it is not passed on.
  char* error = nullptr;
  const Options parsed{PQconninfoParse(conninfo.c_str(), &error)};
  PQfreemem(error);
  if (!parsed) throw unreadable();
  for (const auto* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view key{option->keyword};
    const std::string value{option->val};
    if (key == "host")
      target.host = value;
    else if (key == "port")
      target.port = value;
    else if (key == "user")
      target.user = value;
    else if (key == "dbname")
      target.database = value;
    else if (key == "password")
      target.password = Secret{value};
    else
      target.options[option->keyword] = value;
  }
  // libpq takes the first '@' for the end of the password.
  if (!target.host.starts_with('/') && target.host.find('@') != std::string::npos) throw unreadable();
  if (target.port.find_first_not_of("0123456789,") != std::string::npos) throw unreadable();
  // libpq itself complains only when it connects.
  for (std::string_view rest{target.port}; !rest.empty();) {
    const auto one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    // It may be what a password was cut into: not shown.
    if (!one.empty() && !port_number(one)) throw Failure{Exit::config, std::string{name} + " has a port that is none", "write a number from 1 to 65535; in a password \"@\" is %40, \"/\" is %2F, \":\" is %3A"};
  }
  return target;
}

std::string Target::describe() const {
  if (!shown.empty()) return fmt::format("\"{}\" on {}", database, shown);
  const auto given = parameters_from_environment(*this);
  const auto value = [&](const std::string& own, const std::string& key) {
    if (!own.empty()) return own;
    if (const auto found = options.find(key); found != options.end()) return found->second;
    const auto found = given.find(key);
    return found == given.end() ? std::string{} : found->second;
  };
  const auto hosts = value(host, "host"), address = value({}, "hostaddr"), service = value({}, "service");
  auto where = hosts.empty() ? address : hosts;
  if (where.empty()) {
    where = service.empty() ? "the local socket" : "the service \"" + service + "\"";
  } else if (const auto all = hosts_of({{"host", where}, {"port", value(port, "port")}})) {
    const bool several = all->size() > 1;
    where.clear();
    for (const auto& one : *all) {
      const bool with_port = !one.is_folder() && (several || !value(port, "port").empty());
      where += (where.empty() ? "" : ",") + (with_port ? to_string(HostPort{one.name, port_number(one.port).value_or(0)}) : one.name);
    }
  }
  const auto name = value(database, "dbname").empty() ? value(user, "user") : value(database, "dbname");
  return name.empty() ? where : "\"" + name + "\" on " + where;
}

std::string quote_identifier(std::string_view name) {
  std::string result{"\""};
  for (const char c : name) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

std::string quote_literal(std::string_view text) {
  const bool backslash = text.find('\\') != std::string_view::npos;
  std::string result{backslash ? "E'" : "'"};
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += c;
    result += c;
  }
  return result + '\'';
}

}  // namespace codops::io::postgres
