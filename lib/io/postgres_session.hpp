#pragma once
// What a Connection holds: one session of libpq, nonblocking, under the caller's limits. Between postgres.cpp (what callers see),
// postgres_connect.cpp (how it begins) and postgres_session.cpp (questions and answers, COPY, giving up).
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/postgres.hpp"

struct pg_conn;
struct pg_result;

namespace codops::io::postgres {

using Result = std::shared_ptr<pg_result>;

std::string without_newline(std::string text);
Diagnostic diagnostic_of(const pg_result* result);
// libpq's keywords and their values: begins to connect, nonblocking, and never asks anybody for a passphrase. Null: out of memory.
pg_conn* begin_connecting(const std::map<std::string, std::string>& parameters);

struct Connection::State {
  pg_conn* connection{};
  Target target;
  NoticeSink notices;

  explicit State(Target to) : target{std::move(to)} {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  // Throws when the connection was closed.
  void require() const;
  DatabaseError lost(std::string why) const;
  // Without the password.
  std::string hidden(std::string_view text) const;
  void close();

  // Throws what the limits say; before that the statement in flight is cancelled and its results are drained.
  [[noreturn]] void abandon(const Limits& limits, std::exception_ptr why = nullptr);
  bool drained(const Limits& grace);

  short wait(short events, const Limits& limits);
  void consume();
  // Sends what is buffered, reading meanwhile: a server that is blocked on sending notices would never read on.
  void flush(const Limits& limits);
  Result next(const Limits& limits);
  DatabaseError refused(const pg_result* result);

  void send(std::string_view sql, const std::vector<Value>& values, bool with_values, const Limits& limits);
  void feed(const Source& source, const Limits& limits);
  void drain_copy_out(const Sink& sink, const Limits& limits);
  // Reads all results of what was sent; the first refusal is thrown after the rest was read.
  Script results(const Source& copy, const Sink& sink, const Limits& limits,
                 const std::function<void(const Rows&)>& row = {});
};

}  // namespace codops::io::postgres
