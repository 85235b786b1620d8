#pragma once
// A PostgreSQL server of the test's own: initdb once per run, on loopback and a Unix socket in a temporary folder,
// stopped and removed when the object goes. As root it runs as the user "postgres".
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"

namespace codops::tests {

struct PostgresOptions {
  bool durable{false};                // fsync on
  std::vector<std::string> settings;  // "max_connections=20"
  std::vector<std::string> environment{};  // "LOCPATH=/tmp/locales"
};

class PostgresServer {
 public:
  // The one that a test run shares (not durable); nullptr when it can't be had: the caller returns after the MESSAGE
  // that this made (with CODOPS_REQUIRE_SERVICES=1 it has failed the test instead).
  static PostgresServer* shared();
  // One of its own, for a test that stops or configures it. Same rule about nullptr.
  static std::unique_ptr<PostgresServer> start(const PostgresOptions& options = {});

  // A hot standby of this one, that streams from it. Same rule about nullptr.
  std::unique_ptr<PostgresServer> standby() const;

  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;
  ~PostgresServer();

  // Superuser "postgres": over the Unix socket without a password, over 127.0.0.1 with scram and `password`.
  static constexpr const char* password = "pg-c4nary-9f2e";
  io::postgres::Target local(const std::string& database = "postgres") const;
  io::postgres::Target tcp(const std::string& database = "postgres") const;
  std::string url(const std::string& database) const;  // postgresql://postgres:…@127.0.0.1:PORT/database
  // A new database with a name of its own; dropped with the server.
  std::string create_database(const std::string& like = "t");
  void stop();    // fast shutdown, waits for the end
  void resume();  // the same data and port again
  const std::string& folder() const { return folder_; }
  int port() const { return port_; }

  // Runs a PostgreSQL program ("pg_dump") as the fixture does; returns its stdout, throws when it fails.
  static std::string program(const std::string& name, const std::vector<std::string>& arguments);

 private:
  PostgresServer() = default;
  void launch();
  std::string folder_;
  int port_{};
  pid_t pid_{};
  PostgresOptions options_;
};

}  // namespace codops::tests
