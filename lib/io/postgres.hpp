#pragma once
// PostgreSQL: one connection, used asynchronously so that every wait has a deadline and can be cancelled. libpq does
// the talking, because libpqxx has no way to connect or wait asynchronously, no COPY without a table, and no error
// positions; libpqxx converts values. Nothing here retries.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/secret.hpp"

struct pg_conn;
struct pg_result;

namespace codops::io::postgres {

// Where a database is and who asks. Empty members mean libpq's own default (which includes PGHOST and its like).
struct Target {
  std::string host;  // name, address, or the folder of a Unix socket (begins with '/')
  std::string port;  // decimal; several hosts and ports may be comma separated, as libpq takes them
  std::string user;
  std::string database;
  Secret password;
  std::map<std::string, std::string> options;  // other libpq parameters: "sslmode", "application_name", …
  std::string schema;                          // Prisma's `?schema=`; empty: the server's search_path
  std::string history_schema, history_table;   // golang-migrate's `?x-migrations-table=`; empty: its own usual ones
  std::string shown;                           // "db:5432", where the way there is somebody else's address or a forwarded socket
  bool pooled{false};                          // Prisma's `?pgbouncer=true`: session locks can't be relied on

  // For messages: `"shop" on db:5432`, `"shop" on the service "main"`; what is not said here is PGHOST's and its like. Never the password.
  std::string describe() const;
};

// A URL ("postgres://", "postgresql://", also "postgresql+driver://"), or libpq's key=value text. Prisma's parameters
// are translated (schema, sslcert → sslrootcert, sslaccept) or dropped (connection_limit, pool_timeout, …), golang-migrate's (x-…) too. `name` is
// how a message calls the text, "DATABASE_URL". Throws Failure{config}; its message never shows the text.
Target parse_target(std::string_view text, std::string_view name = "the database URL");

// What the server said about a failed statement (or a notice): PostgreSQL documentation, "Error and Notice Message
// Fields".
struct Diagnostic {
  std::string severity;  // never localised: "ERROR", "FATAL", "NOTICE"
  std::string sqlstate;  // five characters; empty when the connection itself failed
  std::string message, detail, hint, context;
  std::string schema, table, column, constraint;
  std::size_t position{};  // 1-based, in characters of the text that was sent; 0: none
  std::string internal_query;
  std::size_t internal_position{};
};

// A statement that the server refused, or a connection that failed or broke (then `lost()`).
class DatabaseError : public Failure {
 public:
  DatabaseError(Exit code, Diagnostic diagnostic, bool lost, std::string hint = {});
  const Diagnostic& diagnostic() const noexcept { return diagnostic_; }
  const std::string& sqlstate() const noexcept { return diagnostic_.sqlstate; }
  bool lost() const noexcept { return lost_; }  // the connection is of no further use
  // How many statements of the text had completed before this one failed.
  std::size_t completed{};

 private:
  Diagnostic diagnostic_;
  bool lost_;
};

class Rows {
 public:
  Rows() = default;
  explicit Rows(std::shared_ptr<pg_result> result) : result_{std::move(result)} {}

  std::size_t size() const;
  bool empty() const { return size() == 0; }
  std::size_t columns() const;
  std::string_view column_name(std::size_t column) const;
  bool is_null(std::size_t row, std::size_t column) const;
  std::string_view text(std::size_t row, std::size_t column) const;  // empty for NULL
  std::optional<std::string> optional(std::size_t row, std::size_t column) const;
  // These throw Failure{bug} when the text is no such value, NULL included.
  std::int64_t number(std::size_t row, std::size_t column) const;
  double real(std::size_t row, std::size_t column) const;
  bool boolean(std::size_t row, std::size_t column) const;
  std::vector<std::string> array(std::size_t row,
                                 std::size_t column) const;  // of one dimension; NULL elements are empty
  std::string_view command() const;                          // the command tag: "INSERT 0 1"
  std::uint64_t affected() const;                            // rows inserted, updated, copied, …

 private:
  std::shared_ptr<pg_result> result_;
};

using Value = std::optional<std::string>;  // a parameter's text; nullopt is NULL
using NoticeSink = std::function<void(const Diagnostic&)>;
using Sink = std::function<void(std::string_view)>;
// Fills at most `size` bytes at `into`, returns how many; 0 is the end. May throw: the COPY then fails at the server.
using Source = std::function<std::size_t(char* into, std::size_t size)>;

enum class Transaction { idle, active, in_transaction, failed, unknown };

// Not shared between threads. Moved from: only destruction is allowed. When `limits` end a call, the statement is
// cancelled at the server and the connection stays usable if the server confirms that within 5 s (else it is closed).
class Connection {
 public:
  // Throws DatabaseError: config for a wrong password, role or database, else unavailable. The target's
  // connect_timeout (default 10 s) bounds it beside `limits`, the lookup of a name included
  // (of several names it is libpq that looks them up, without a time limit).
  static Connection open(const Target& target, const Limits& limits);
  // The same, again and again while nobody answers or the server is starting or in recovery, until `limits` end it.
  static Connection open_when_ready(const Target& target, const Limits& limits);

  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  // One statement with parameters $1, $2, … Collects the whole result.
  Rows query(std::string_view sql, const std::vector<Value>& values, const Limits& limits);
  Rows query(std::string_view sql, const Limits& limits) { return query(sql, {}, limits); }
  // One statement; each row as it arrives, nothing is collected.
  void each(std::string_view sql, const std::vector<Value>& values, const std::function<void(const Rows&)>& row,
            const Limits& limits);
  // Text with any number of statements, sent whole as one Query message (one implicit transaction unless one is open or
  // the text has its own). Returns the number of statements that completed and the last one's rows. COPY FROM STDIN
  // reads `copy` (without one it fails), COPY TO STDOUT's data is dropped.
  struct Script {
    std::size_t completed{};
    Rows last;
    Rows selected;  // of the last statement that gave rows, if only none
  };
  Script run(std::string_view sql, const Limits& limits, const Source& copy = {});
  // Bytes as the server sends them (text: one line a call; binary: one message a call). Returns the row count.
  std::uint64_t copy_out(std::string_view sql, const Sink& sink, const Limits& limits);
  std::uint64_t copy_in(std::string_view sql, const Source& source, const Limits& limits);

  void on_notice(NoticeSink sink);
  Transaction transaction() const;
  bool usable() const;  // false once it broke or was closed
  int backend_pid() const;
  int server_version() const;                          // 150018
  std::string parameter(std::string_view name) const;  // a parameter that the server reports: "server_encoding"
  const Target& target() const;
  // What CREATE ROLE … PASSWORD takes instead of the password itself, so that no server log can show it.
  std::string password_verifier(const std::string& role, const Secret& password);

 private:
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

std::string quote_identifier(std::string_view name);  // "a""b"
std::string quote_literal(std::string_view text);     // 'a''b', or E'…' when it has backslashes

}  // namespace codops::io::postgres
