#pragma once
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "lib/migrate/migrate.hpp"
#include "tests/support/postgres_server.hpp"

namespace codops::tests {

using namespace std::chrono_literals;
namespace pg = io::postgres;

inline Limits soon() { return {Deadline::after(60s), {}}; }

class Heard final : public Reporter {
 public:
  void report(const Event& event) override {
    if (event.kind == Event::Kind::note || event.kind == Event::Kind::warning) notes += event.text + "\n";
  }
  bool has(std::string_view text) const { return notes.find(text) != std::string::npos; }
  std::string notes;
};

// A fresh database of the shared server, with shorthands.
struct Database {
  PostgresServer& server;
  std::string name;
  pg::Connection connection;

  explicit Database(PostgresServer& on) : server{on}, name{on.create_database()}, connection{open()} {}
  pg::Connection open() const { return pg::Connection::open(server.local(name), soon()); }
  void run(const std::string& sql) { connection.run(sql, soon()); }
  std::string value(const std::string& sql) {
    const auto rows = connection.query(sql, soon());
    return rows.empty() ? "(none)" : std::string{rows.text(0, 0)};
  }
  // finished · rolled back · steps · logs NULL, one line a row
  std::string history() {
    const auto rows = connection.query(
        "SELECT migration_name || ' ' || CASE WHEN finished_at IS NULL THEN '-' ELSE 'f' END || CASE WHEN rolled_back_at IS NULL THEN '-' ELSE "
        "'r' END || ' ' || applied_steps_count || CASE WHEN logs IS NULL THEN '' ELSE ' logs' END FROM _prisma_migrations ORDER BY started_at",
        soon());
    std::string text;
    for (std::size_t i = 0; i < rows.size(); ++i) text += std::string{rows.text(i, 0)} + "\n";
    return text;
  }
  std::string schema_dump() const {
    auto dump = PostgresServer::program("pg_dump", {"--schema-only", "-h", server.folder(), "-p", std::to_string(server.port()), "-U", "postgres", name});
    // Newer pg_dump writes a random token into two lines.
    std::string result;
    for (std::size_t at = 0; at < dump.size();) {
      const auto end = std::min(dump.find('\n', at), dump.size() - 1) + 1;
      const auto line = dump.substr(at, end - at);
      if (!line.starts_with("\\restrict") && !line.starts_with("\\unrestrict")) result += line;
      at = end;
    }
    return result;
  }
};

inline migrate::File sql(const std::string& folder, const std::string& text) { return {folder + "/migration.sql", text}; }

inline migrate::Outcome up(Database& database, const std::vector<migrate::File>& files, migrate::Options options = {}, Heard* heard = nullptr) {
  Heard own;
  return migrate::apply(files, database.connection, options, heard != nullptr ? *heard : own, soon());
}

template <typename Action>
Failure failure_of(const Action& action) {
  try {
    action();
  } catch (const Failure& failure) {
    return failure;
  }
  FAIL("nothing failed");
  return Failure{Exit::bug, ""};
}

// Applies in a process of its own, so that it can be killed.
inline pid_t apply_in_child(const Database& database, const std::vector<migrate::File>& files) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  int code = 1;
  try {
    auto connection = database.open();
    SilentReporter silent;
    migrate::Options options;
    options.lock_wait = 20s;
    migrate::apply(files, connection, options, silent, soon());
    code = 0;
  } catch (const std::exception&) {
  }
  ::_exit(code);
}

inline int wait_child(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Waits until the query answers true; fails the test after ten seconds.
inline void wait_until(Database& database, const std::string& sql_text) {
  const auto deadline = Deadline::after(10s);
  while (database.value(sql_text) != "t") {
    if (deadline.expired()) FAIL("never true: " << sql_text);
    Limits{Deadline::after(10ms), {}}.wait(-1, 0);
  }
}

}  // namespace codops::tests
