#include "lib/io/postgres_secrets.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "tests/support/echoing_postgres.hpp"
#include "tests/support/postgres_server.hpp"

using namespace codops;
using namespace std::chrono_literals;
namespace pg = codops::io::postgres;
using codops::tests::PostgresServer;

namespace {
Limits limits() { return {Deadline::after(20s), {}}; }
}  // namespace

TEST_CASE("postgres: connects by Unix socket, TCP and URL, and says why not") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  CHECK(pg::Connection::open(server->local(), limits()).query("SELECT 1", limits()).number(0, 0) == 1);
  CHECK(pg::Connection::open(server->tcp(), limits()).server_version() >= 120000);
  const auto target = pg::parse_target(server->url("postgres") + "?schema=sales&connection_limit=5");
  CHECK(target.schema == "sales");
  CHECK(pg::Connection::open(target, limits()).backend_pid() > 0);

  auto wrong = server->tcp();
  wrong.password = Secret{"no-c4nary"};
  try {
    pg::Connection::open(wrong, limits());
    FAIL("accepted a wrong password");
  } catch (const pg::DatabaseError& error) {
    CHECK(error.code() == Exit::config);
    CHECK(error.sqlstate() == "28P01");
    CHECK(error.message().find("no-c4nary") == std::string::npos);
  }
  try {
    pg::Connection::open(server->local("nowhere"), limits());
    FAIL("connected to nowhere");
  } catch (const pg::DatabaseError& error) {
    CHECK(error.sqlstate() == "3D000");
    CHECK(error.code() == Exit::config);
  }
  auto silent = server->tcp();
  silent.port = "1";
  CHECK_THROWS_AS(pg::Connection::open_when_ready(silent, Limits{Deadline::after(300ms), {}}), pg::DatabaseError);
}

TEST_CASE("postgres: a password that the server quotes is not shown") {
  codops::tests::ScriptedServer server{codops::tests::refuse_quoting_the_password};
  const auto target = pg::parse_target("postgres://shop:sekretPW@127.0.0.1:" + std::to_string(server.port()) + "/shop");
  try {
    pg::Connection::open(target, limits());
    FAIL("it connected");
  } catch (const pg::DatabaseError& error) {
    CHECK(error.message().find("bad password: ***") != std::string::npos);
    CHECK(error.message().find("sekretPW") == std::string::npos);
  }
  // One that is a name as well is no secret: hiding it would only make the message unreadable.
  CHECK(pg::without_password(pg::parse_target("postgres://postgres:postgres@h/d"), "role \"postgres\" is not permitted") == "role \"postgres\" is not permitted");
}

TEST_CASE("postgres: queries with parameters, NULL, arrays; errors with all that the server said") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  auto connection = pg::Connection::open(server->local(), limits());
  const auto rows = connection.query("SELECT $1::text, $2::text, ARRAY['a','b \"c\"',NULL], 1.5::float8, true",
                                     {"it's", std::nullopt}, limits());
  CHECK(rows.text(0, 0) == "it's");
  CHECK(rows.is_null(0, 1));
  CHECK(rows.array(0, 2) == std::vector<std::string>{"a", "b \"c\"", ""});
  CHECK(rows.real(0, 3) == 1.5);
  CHECK(rows.boolean(0, 4));
  CHECK_THROWS_AS(rows.number(0, 0), Failure);

  try {
    connection.run("SELECT 1;\nSELECT 'ü', nope", limits());
    FAIL("no error");
  } catch (const pg::DatabaseError& error) {
    CHECK(error.sqlstate() == "42703");
    CHECK(error.diagnostic().position == 23);  // characters, not bytes
    CHECK(error.completed == 1);
    CHECK_FALSE(error.lost());
  }
  CHECK(connection.usable());

  std::vector<std::string> heard;
  connection.on_notice([&](const pg::Diagnostic& notice) { heard.push_back(notice.message); });
  connection.run("DO $$ BEGIN RAISE NOTICE 'hello'; END $$", limits());
  CHECK(heard == std::vector<std::string>{"hello"});

  int seen = 0;
  connection.each(
      "SELECT generate_series(1, 1000)", {}, [&](const pg::Rows& row) { seen += row.number(0, 0) > 0; }, limits());
  CHECK(seen == 1000);
}

TEST_CASE("postgres: COPY in and out by stream") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  auto connection = pg::Connection::open(server->local(server->create_database()), limits());
  connection.run("CREATE TABLE numbers(n int, text text)", limits());
  int line = 0;
  const auto source = [&](char* into, std::size_t) -> std::size_t {
    if (++line > 20000) return 0;
    const auto text = std::to_string(line) + "\t" + std::string(80, 'x') + "\n";
    text.copy(into, text.size());
    return text.size();
  };
  CHECK(connection.copy_in("COPY numbers FROM STDIN", source, limits()) == 20000);
  std::size_t bytes = 0;
  CHECK(connection.copy_out(
            "COPY numbers TO STDOUT", [&](std::string_view data) { bytes += data.size(); }, limits()) == 20000);
  CHECK(bytes > 20000 * 82);

  const auto broken = [](char*, std::size_t) -> std::size_t { throw Failure{Exit::data, "torn"}; };
  CHECK_THROWS_WITH(connection.copy_in("COPY numbers FROM STDIN", broken, limits()), "torn");
  CHECK_THROWS_WITH(connection.copy_out(
                        "COPY numbers TO STDOUT",
                        [](std::string_view) {
                          throw Failure{Exit::data, "full"};
                        },
                        limits()),
                    "full");
  CHECK(connection.query("SELECT count(*) FROM numbers", limits()).number(0, 0) == 20000);
}

TEST_CASE("postgres: a deadline or a cancellation ends the statement at the server") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  auto connection = pg::Connection::open(server->local(), limits());
  const auto begin = std::chrono::steady_clock::now();
  try {
    connection.query("SELECT pg_sleep(30)", Limits{Deadline::after(100ms), {}});
    FAIL("no deadline");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::deadline);
  }
  CancelSource source;
  std::thread canceller{[&] {
    std::this_thread::sleep_for(100ms);
    source.cancel(Exit::interrupted);
  }};
  try {
    connection.run("SELECT pg_sleep(30)", Limits{Deadline::never(), source.token()});
    FAIL("no cancellation");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::interrupted);
  }
  canceller.join();
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(connection.usable());
  CHECK(connection.query("SELECT 1", limits()).number(0, 0) == 1);
}

TEST_CASE("postgres: a terminated backend is a lost connection") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  auto victim = pg::Connection::open(server->local(), limits());
  auto other = pg::Connection::open(server->local(), limits());
  other.query("SELECT pg_terminate_backend($1)", {std::to_string(victim.backend_pid())}, limits());
  try {
    victim.query("SELECT pg_sleep(1)", limits());
    FAIL("survived");
  } catch (const pg::DatabaseError& error) {
    CHECK(error.lost());
    CHECK(error.code() == Exit::unavailable);
  }
  CHECK_FALSE(victim.usable());
  CHECK_THROWS_AS(victim.query("SELECT 1", limits()), pg::DatabaseError);
}
