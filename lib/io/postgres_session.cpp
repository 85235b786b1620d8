#include "lib/io/postgres_session.hpp"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <thread>

#include "lib/io/postgres_secrets.hpp"

namespace codops::io::postgres {

namespace {

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

Connection::State::~State() { PQfinish(connection); }

void Connection::State::require() const {
  if (connection == nullptr) throw lost("the connection was closed");
}

DatabaseError Connection::State::lost(std::string why) const {
  Diagnostic diagnostic;
  diagnostic.message = "the connection to " + target.describe() + " broke: " + without_newline(hidden(why));
  return {Exit::unavailable, std::move(diagnostic), true};
}

std::string Connection::State::hidden(std::string_view text) const {
  return without_password(target, text, connection == nullptr ? "" : PQpass(connection));
}

void Connection::State::close() {
  PQfinish(connection);
  connection = nullptr;
}

void Connection::State::abandon(const Limits& limits, std::exception_ptr why) {
  request_cancel(connection, cancel_patience);
  if (!drained(Limits{Deadline::after(cancel_patience), {}})) close();
  if (why) std::rethrow_exception(why);
  limits.check("the database");
  throw Failure{Exit::deadline, "the database took too long"};
}

bool Connection::State::drained(const Limits& grace) {
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

short Connection::State::wait(short events, const Limits& limits) {
  short ready = 0;
  try {
    ready = limits.wait(PQsocket(connection), events);
  } catch (...) {
    abandon(limits, std::current_exception());
  }
  if (ready == 0) abandon(limits);
  return ready;
}

void Connection::State::consume() {
  if (PQconsumeInput(connection) == 0) throw lost(PQerrorMessage(connection));
}

void Connection::State::flush(const Limits& limits) {
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

Result Connection::State::next(const Limits& limits) {
  flush(limits);
  while (PQisBusy(connection) != 0) {
    wait(POLLIN, limits);
    consume();
  }
  return take(connection);
}

DatabaseError Connection::State::refused(const PGresult* result) {
  auto diagnostic = diagnostic_of(result);
  for (auto* text : {&diagnostic.message, &diagnostic.detail, &diagnostic.hint}) *text = hidden(*text);
  const bool broken = PQstatus(connection) == CONNECTION_BAD;
  if (broken && diagnostic.sqlstate.empty()) return lost(diagnostic.message);
  return {broken ? Exit::unavailable : Exit::failed, std::move(diagnostic), broken};
}

void Connection::State::send(std::string_view sql, const std::vector<Value>& values, bool with_values, const Limits& limits) {
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

void Connection::State::feed(const Source& source, const Limits& limits) {
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

void Connection::State::drain_copy_out(const Sink& sink, const Limits& limits) {
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

Connection::Script Connection::State::results(const Source& copy, const Sink& sink, const Limits& limits,
                                             const std::function<void(const Rows&)>& row) {
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
        ++script.completed;
        script.last = Rows{std::move(result)};
        break;
      case PGRES_TUPLES_OK:
        ++script.completed;
        script.last = script.selected = Rows{std::move(result)};
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

}  // namespace codops::io::postgres
