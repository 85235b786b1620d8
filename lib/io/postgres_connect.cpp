#include <libpq-fe.h>
#include <poll.h>

#include <charconv>

#include "lib/base/retry.hpp"
#include "lib/io/lookup.hpp"
#include "lib/io/postgres_environment.hpp"
#include "lib/io/postgres_library.hpp"
#include "lib/io/postgres_secrets.hpp"
#include "lib/io/postgres_session.hpp"

namespace codops::io::postgres {

namespace {

void forward_notice(void* sink, const PGresult* result) {
  const auto& notices = *static_cast<NoticeSink*>(sink);
  if (notices) notices(diagnostic_of(result));
}

// "connection to server at …: FATAL:  28P01: password authentication failed…\nLOCATION: …". libpq gives no SQLSTATE for
// a connection that failed, except in its verbose text, whose shape around the code is the same in every language.
Diagnostic connect_diagnostic(std::string text) {
  Diagnostic diagnostic;
  if (const auto location = text.find("\nLOCATION:"); location != std::string::npos) text.resize(location);
  text = without_newline(std::move(text));
  for (std::size_t at = text.find(":  "); at != std::string::npos; at = text.find(":  ", at + 1)) {
    const auto code = std::string_view{text}.substr(at + 3, 5);
    const bool plausible = code.size() == 5 &&
                           code.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == code.npos &&
                           text.compare(at + 8, 2, ": ") == 0;
    if (!plausible) continue;
    diagnostic.severity = "FATAL";
    diagnostic.sqlstate = code;
    text = text.substr(at + 10);
    break;
  }
  diagnostic.message = text;
  return diagnostic;
}

DatabaseError connect_error(const Target& target, const std::string& text) {
  auto diagnostic = connect_diagnostic(text);
  diagnostic.message = "can't connect to " + target.describe() + ": " + diagnostic.message;
  const bool wrong_settings = diagnostic.sqlstate.starts_with("28") || diagnostic.sqlstate == "3D000";
  return {wrong_settings ? Exit::config : Exit::unavailable, std::move(diagnostic), true};
}

Milliseconds connect_timeout(const Target& target) {
  const auto given = target.options.find("connect_timeout");
  int seconds = 10;
  if (given != target.options.end()) {
    std::from_chars(given->second.data(), given->second.data() + given->second.size(), seconds);
  }
  return std::chrono::seconds{seconds > 0 ? seconds : 10};
}

// libpq would look a name up itself, and nothing could end that wait. Empty: there is nothing to look up, or there are several names.
std::vector<std::string> addresses_of(const Target& target, const Limits& limits, const Limits& caller) {
  const auto& host = target.host;
  if (host.empty() || host.find_first_of("/@,") != std::string::npos || target.options.contains("hostaddr") || target.options.contains("service") || !numeric_addresses(host).empty()) return {};
  const auto answer = look_up(host, limits);
  if (!answer) {
    caller.check("looking up \"" + host + "\"");
    throw connect_error(target, "the name server did not answer for \"" + host + "\"");
  }
  if (answer->error != 0) throw connect_error(target, dns_trouble(*answer, host).message);
  std::vector<std::string> addresses;
  for (const auto& address : answer->addresses) addresses.push_back(to_string(address));
  return addresses;
}

}  // namespace

pg_conn* begin_connecting(const std::map<std::string, std::string>& parameters) {
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : parameters) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  require_library();
  never_ask_for_passphrases();
  return PQconnectStartParams(keys.data(), values.data(), 0);
}

Connection Connection::open(const Target& target, const Limits& caller) {
  const auto limits = caller.within(connect_timeout(target));
  auto parameters = parameters_from_environment(target);
  const auto add = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) parameters[key] = value;
  };
  auto options = target.options;
  options.try_emplace("application_name", "codops");
  options["client_encoding"] = "UTF8";
  options.try_emplace("keepalives_idle", "30");
  options.try_emplace("keepalives_interval", "10");
  options.try_emplace("keepalives_count", "3");
  // One host for each address; the name itself stays what a certificate is checked against.
  std::string hosts = target.host, addresses;
  for (const auto& address : addresses_of(target, limits, caller)) {
    if (!addresses.empty()) hosts += "," + target.host;
    addresses += (addresses.empty() ? "" : ",") + address;
  }
  add("host", hosts);
  add("hostaddr", addresses);
  add("port", target.port);
  add("user", target.user);
  add("dbname", target.database);
  add("password", target.password.reveal());
  for (const auto& [key, value] : options) add(key, value);
  auto state = std::make_unique<State>(target);
  state->connection = begin_connecting(parameters);
  auto* connection = state->connection;
  if (connection == nullptr) throw Failure{Exit::bug, "out of memory"};
  PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(connection, forward_notice, &state->notices);
  auto next = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) {
      if (const auto trouble = key_trouble(target)) throw *trouble;
      throw connect_error(target, state->hidden(PQerrorMessage(connection)));
    }
    if (limits.wait(PQsocket(connection), next == PGRES_POLLING_READING ? POLLIN : POLLOUT) == 0) {
      caller.check("connecting to " + target.describe());
      throw connect_error(target, "no answer");
    }
    next = PQconnectPoll(connection);
  }
  PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
  PQsetnonblocking(connection, 1);
  return Connection{std::move(state)};
}

Connection Connection::open_when_ready(const Target& target, const Limits& limits) {
  Backoff backoff{Milliseconds{50}, Milliseconds{1000}};
  for (;;) {
    try {
      return open(target, limits);
    } catch (const DatabaseError& error) {
      // 57P03: starting, stopping or recovering; 53300: too many connections. No SQLSTATE: nobody answered.
      const bool may_pass = error.sqlstate().empty() || error.sqlstate() == "57P03" || error.sqlstate() == "53300";
      if (!may_pass || !backoff.wait(limits)) throw;
    }
  }
}

}  // namespace codops::io::postgres
