#include "lib/io/postgres.hpp"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <thread>

#include "lib/base/retry.hpp"
#include "lib/io/lookup.hpp"
#include "lib/io/postgres_environment.hpp"
#include "lib/io/postgres_secrets.hpp"

namespace codops::io::postgres {

namespace {

using Result = std::shared_ptr<pg_result>;

Result take(PGconn* connection) {
  PGresult* result = PQgetResult(connection);
  return result == nullptr ? nullptr : Result{result, PQclear};
}

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

std::size_t position_field(const PGresult* result, int code) {
  const auto text = field(result, code);
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string without_newline(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

Diagnostic diagnostic_of(const PGresult* result) {
  Diagnostic diagnostic;
  diagnostic.severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  diagnostic.sqlstate = field(result, PG_DIAG_SQLSTATE);
  diagnostic.message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  diagnostic.detail = field(result, PG_DIAG_MESSAGE_DETAIL);
  diagnostic.hint = field(result, PG_DIAG_MESSAGE_HINT);
  diagnostic.context = field(result, PG_DIAG_CONTEXT);
  diagnostic.schema = field(result, PG_DIAG_SCHEMA_NAME);
  diagnostic.table = field(result, PG_DIAG_TABLE_NAME);
  diagnostic.column = field(result, PG_DIAG_COLUMN_NAME);
  diagnostic.constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
  diagnostic.position = position_field(result, PG_DIAG_STATEMENT_POSITION);
  diagnostic.internal_query = field(result, PG_DIAG_INTERNAL_QUERY);
  diagnostic.internal_position = position_field(result, PG_DIAG_INTERNAL_POSITION);
  if (diagnostic.message.empty()) diagnostic.message = without_newline(PQresultErrorMessage(result));
  return diagnostic;
}

// PQcancel blocks and has no time limit, so a thread of its own does it; the cancel object belongs to that thread.
void request_cancel(PGconn* connection, Milliseconds patience) {
  PGcancel* cancel = PQgetCancel(connection);
  if (cancel == nullptr) return;
  const std::shared_ptr<int> done{new int{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}, [](int* fd) {
                                    ::close(*fd);
                                    delete fd;
                                  }};
  std::thread{[cancel, done] {
    std::array<char, 256> ignored{};
    PQcancel(cancel, ignored.data(), static_cast<int>(ignored.size()));
    PQfreeCancel(cancel);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(*done, &one, sizeof one);
  }}.detach();
  Limits{Deadline::after(patience), {}}.wait(*done, POLLIN);
}

constexpr Milliseconds cancel_patience{5000};

}  // namespace

DatabaseError::DatabaseError(Exit code, Diagnostic diagnostic, bool lost, std::string hint)
    : Failure{code, diagnostic.message, std::move(hint)}, diagnostic_{std::move(diagnostic)}, lost_{lost} {}

struct Connection::State {
  PGconn* connection{};
  Target target;
  NoticeSink notices;

  explicit State(Target to) : target{std::move(to)} {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { PQfinish(connection); }

  void require() const {
    if (connection == nullptr) throw lost("the connection was closed");
  }

  DatabaseError lost(std::string why) const {
    Diagnostic diagnostic;
    diagnostic.message = "the connection to " + target.describe() + " broke: " + without_newline(hidden(why));
    return {Exit::unavailable, std::move(diagnostic), true};
  }

  std::string hidden(std::string_view text) const {
    return without_password(target, text, connection == nullptr ? "" : PQpass(connection));
  }

  void close() {
    PQfinish(connection);
    connection = nullptr;
  }

  // Throws what the limits say; before that the statement in flight is cancelled and its results are drained.
  [[noreturn]] void abandon(const Limits& limits, std::exception_ptr why = nullptr) {
    request_cancel(connection, cancel_patience);
    if (!drained(Limits{Deadline::after(cancel_patience), {}})) close();
    if (why) std::rethrow_exception(why);
    limits.check("the database");
    throw Failure{Exit::deadline, "the database took too long"};
  }

  bool drained(const Limits& grace) {
    PQputCopyEnd(connection, "cancelled");  // no effect unless a COPY FROM waits
    for (;;) {
      PQflush(connection);
      while (PQisBusy(connection) != 0) {
        if (grace.wait(PQsocket(connection), POLLIN) == 0 || PQconsumeInput(connection) == 0) return false;
      }
      const auto result = take(connection);
      if (!result) return PQstatus(connection) == CONNECTION_OK;
      const auto status = PQresultStatus(result.get());
      if (status == PGRES_COPY_IN) PQputCopyEnd(connection, "cancelled");
      if (status == PGRES_COPY_OUT) {
        for (int size = 1; size >= 0;) {
          char* buffer = nullptr;
          size = PQgetCopyData(connection, &buffer, 1);
          PQfreemem(buffer);
          if (size == 0 && (grace.wait(PQsocket(connection), POLLIN) == 0 || PQconsumeInput(connection) == 0))
            return false;
        }
      }
    }
  }

  short wait(short events, const Limits& limits) {
    short ready = 0;
    try {
      ready = limits.wait(PQsocket(connection), events);
    } catch (...) {
      abandon(limits, std::current_exception());
    }
    if (ready == 0) abandon(limits);
    return ready;
  }

  void consume() {
    if (PQconsumeInput(connection) == 0) throw lost(PQerrorMessage(connection));
  }

  // Sends what is buffered, reading meanwhile: a server that is blocked on sending notices would never read on.
  void flush(const Limits& limits) {
    for (;;) {
      const int state = PQflush(connection);
      if (state < 0) {
        // The server may have said why before it hung up; the result that waits has it.
        return;
      }
      if (state == 0) return;
      if ((wait(POLLIN | POLLOUT, limits) & POLLIN) != 0) consume();
    }
  }

  Result next(const Limits& limits) {
    flush(limits);
    while (PQisBusy(connection) != 0) {
      wait(POLLIN, limits);
      consume();
    }
    return take(connection);
  }

  DatabaseError refused(const PGresult* result) {
    auto diagnostic = diagnostic_of(result);
    for (auto* text : {&diagnostic.message, &diagnostic.detail, &diagnostic.hint}) *text = hidden(*text);
    const bool broken = PQstatus(connection) == CONNECTION_BAD;
    if (broken && diagnostic.sqlstate.empty()) return lost(diagnostic.message);
    return {broken ? Exit::unavailable : Exit::failed, std::move(diagnostic), broken};
  }

  void send(std::string_view sql, const std::vector<Value>& values, bool with_values, const Limits& limits) {
    require();
    limits.check("the database");
    // libpq takes C strings and would send what stands before it.
    if (sql.find('\0') != std::string_view::npos) throw Failure{Exit::data, "a statement with a NUL byte can't be sent to the server"};
    const std::string text{sql};
    int sent = 0;
    if (with_values) {
      std::vector<const char*> pointers;
      for (const auto& value : values) pointers.push_back(value ? value->c_str() : nullptr);
      sent = PQsendQueryParams(connection, text.c_str(), static_cast<int>(values.size()), nullptr, pointers.data(),
                               nullptr, nullptr, 0);
    } else {
      sent = PQsendQuery(connection, text.c_str());
    }
    if (sent == 0) throw lost(PQerrorMessage(connection));
  }

  void feed(const Source& source, const Limits& limits) {
    std::array<char, 65536> buffer;
    std::string failed = source ? "" : "no data for COPY";
    std::exception_ptr error;
    while (failed.empty()) {
      std::size_t size = 0;
      try {
        size = source(buffer.data(), buffer.size());
      } catch (...) {
        error = std::current_exception();
        failed = "the source failed";
        break;
      }
      if (size == 0) break;
      for (std::size_t offset = 0; offset < size;) {
        const int put = PQputCopyData(connection, buffer.data() + offset, static_cast<int>(size - offset));
        if (put < 0) throw lost(PQerrorMessage(connection));
        if (put == 1) offset = size;
        flush(limits);
      }
      if (PQstatus(connection) == CONNECTION_BAD) break;
    }
    while (PQputCopyEnd(connection, failed.empty() ? nullptr : failed.c_str()) == 0) flush(limits);
    flush(limits);
    if (error) {
      while (next(limits)) {
      }
      std::rethrow_exception(error);
    }
  }

  void drain_copy_out(const Sink& sink, const Limits& limits) {
    for (;;) {
      char* data = nullptr;
      const int size = PQgetCopyData(connection, &data, 1);
      const std::unique_ptr<char, void (*)(void*)> owned{data, PQfreemem};
      if (size > 0) {
        if (!sink) continue;
        try {
          sink({data, static_cast<std::size_t>(size)});
        } catch (...) {
          abandon(limits, std::current_exception());
        }
      } else if (size == 0) {
        wait(POLLIN, limits);
        consume();
      } else {
        return;  // the end, or an error: the next result says which
      }
    }
  }

  // Reads all results of what was sent; the first refusal is thrown after the rest was read.
  Script results(const Source& copy, const Sink& sink, const Limits& limits,
                 const std::function<void(const Rows&)>& row = {}) {
    Script script;
    std::optional<DatabaseError> error;
    while (auto result = next(limits)) {
      switch (PQresultStatus(result.get())) {
        case PGRES_COPY_IN:
          feed(copy, limits);
          break;
        case PGRES_COPY_OUT:
          drain_copy_out(sink, limits);
          break;
        case PGRES_SINGLE_TUPLE:
          try {
            row(Rows{std::move(result)});
          } catch (...) {
            abandon(limits, std::current_exception());
          }
          break;
        case PGRES_EMPTY_QUERY:
          break;
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
          ++script.completed;
          script.last = Rows{std::move(result)};
          break;
        default:
          if (!error) {
            error.emplace(refused(result.get()));
            error->completed = script.completed;
          }
      }
      if (PQstatus(connection) == CONNECTION_BAD) break;
    }
    if (error) throw *error;
    if (PQstatus(connection) == CONNECTION_BAD) throw lost(PQerrorMessage(connection));
    return script;
  }
};

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
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : parameters) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);

  never_ask_for_passphrases();
  auto state = std::make_unique<State>(target);
  state->connection = PQconnectStartParams(keys.data(), values.data(), 0);
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

Connection::Connection(std::unique_ptr<State> state) : state_{std::move(state)} {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Rows Connection::query(std::string_view sql, const std::vector<Value>& values, const Limits& limits) {
  state_->send(sql, values, true, limits);
  return state_->results({}, {}, limits).last;
}

void Connection::each(std::string_view sql, const std::vector<Value>& values,
                      const std::function<void(const Rows&)>& row, const Limits& limits) {
  state_->send(sql, values, true, limits);
  PQsetSingleRowMode(state_->connection);
  state_->results({}, {}, limits, row);
}

Connection::Script Connection::run(std::string_view sql, const Limits& limits, const Source& copy) {
  state_->send(sql, {}, false, limits);
  return state_->results(copy, {}, limits);
}

std::uint64_t Connection::copy_out(std::string_view sql, const Sink& sink, const Limits& limits) {
  state_->send(sql, {}, false, limits);
  return state_->results({}, sink, limits).last.affected();
}

std::uint64_t Connection::copy_in(std::string_view sql, const Source& source, const Limits& limits) {
  state_->send(sql, {}, false, limits);
  return state_->results(source, {}, limits).last.affected();
}

void Connection::on_notice(NoticeSink sink) { state_->notices = std::move(sink); }

Transaction Connection::transaction() const {
  switch (PQtransactionStatus(state_->connection)) {
    case PQTRANS_IDLE:
      return Transaction::idle;
    case PQTRANS_ACTIVE:
      return Transaction::active;
    case PQTRANS_INTRANS:
      return Transaction::in_transaction;
    case PQTRANS_INERROR:
      return Transaction::failed;
    default:
      return Transaction::unknown;
  }
}

bool Connection::usable() const {
  return state_->connection != nullptr && PQstatus(state_->connection) == CONNECTION_OK;
}
int Connection::backend_pid() const { return PQbackendPID(state_->connection); }
int Connection::server_version() const { return PQserverVersion(state_->connection); }

std::string Connection::parameter(std::string_view name) const {
  const char* value = PQparameterStatus(state_->connection, std::string{name}.c_str());
  return value == nullptr ? "" : value;
}

const Target& Connection::target() const { return state_->target; }

std::string Connection::password_verifier(const std::string& role, const Secret& password) {
  state_->require();
  const std::unique_ptr<char, void (*)(void*)> verifier{
      PQencryptPasswordConn(state_->connection, password.reveal().c_str(), role.c_str(), "scram-sha-256"), PQfreemem};
  if (!verifier) throw Failure{Exit::failed, "a password can't be prepared: " + without_newline(PQerrorMessage(state_->connection))};
  return verifier.get();
}

}  // namespace codops::io::postgres
