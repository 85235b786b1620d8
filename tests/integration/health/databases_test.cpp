// PostgreSQL and Redis, the real ones.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "lib/health/run.hpp"
#include "lib/io/process.hpp"
#include "lib/io/redis.hpp"
#include "tests/support/echoing_postgres.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::health;
using tests::Peer;
using tests::PostgresServer;
using tests::ScriptedServer;
using namespace std::chrono_literals;

namespace {

Outcome run_one(Check check, Milliseconds deadline = 10s) {
  check.name = "db";
  return run({check}, {}, Limits{}.within(deadline)).outcomes.at(0);
}

Check postgres(io::postgres::Target target) {
  Check check;
  check.what = PostgresCheck{std::move(target), {}, {}, {}, {}, {}};
  return check;
}

Check redis(const std::string& url) {
  Check check;
  check.what = RedisCheck{io::parse_redis_url(url), "", {}, {}};
  return check;
}

// A redis-server on a free port with a password, and on a Unix socket.
struct RedisServer {
  std::filesystem::path folder;
  std::uint16_t port{};
  std::unique_ptr<io::Child> child;

  static std::unique_ptr<RedisServer> start(std::vector<std::string> more = {}, const std::string& login = ":c4nary@") {
    const auto program = io::find_program("redis-server");
    if (!program) {
      MESSAGE("skipped: no redis-server");
      if (std::getenv("CODOPS_REQUIRE_SERVICES") != nullptr) FAIL_CHECK("redis-server is required");
      return nullptr;
    }
    auto out = std::make_unique<RedisServer>();
    char name[] = "/tmp/codops-redis-XXXXXX";
    out->folder = ::mkdtemp(name);
    {
      ScriptedServer free_port{[](Peer&) {}};
      out->port = free_port.port();
    }
    io::Program start;
    start.argv = {program->string(), "--port", std::to_string(out->port), "--bind", "127.0.0.1", "--dir", out->folder.string(),
                  "--unixsocket", (out->folder / "redis.sock").string(), "--save", "", "--requirepass", "c4nary"};
    start.argv.insert(start.argv.end(), more.begin(), more.end());
    start.env = io::usual_environment();
    out->child = std::make_unique<io::Child>(start, io::Child::Stdio{});
    auto check = redis("redis://" + login + "127.0.0.1:" + std::to_string(out->port));
    check.name = "start";
    REQUIRE(wait_until_healthy({check}, {}, Limits{}.within(10s)).healthy());
    return out;
  }
  ~RedisServer() {
    if (child) child->stop();
    std::filesystem::remove_all(folder);
  }
};

}  // namespace

TEST_CASE("PostgreSQL that answers SELECT 1 is well") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  const auto outcome = run_one(postgres(server->tcp()));
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
  CHECK(outcome.times.connect.has_value());
  CHECK(outcome.times.request.has_value());
  CHECK(outcome.target.find(PostgresServer::password) == std::string::npos);
  CHECK(run_one(postgres(server->local())).status == Status::ok);
  auto by_name = server->tcp();
  by_name.host = "localhost";
  CHECK(run_one(postgres(by_name)).status == Status::ok);
}

TEST_CASE("PostgreSQL: a wrong password, a missing database, too many connections used") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  auto wrong = server->tcp();
  wrong.password = Secret{"wrong"};
  auto outcome = run_one(postgres(wrong));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::request);
  CHECK(outcome.message.find("password authentication failed") != std::string::npos);
  CHECK(run_one(postgres(server->tcp("nowhere"))).message.find("does not exist") != std::string::npos);
  auto check = postgres(server->tcp());
  std::get<PostgresCheck>(check.what).warn_connections = 1;
  outcome = run_one(check);
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::warn);
  CHECK(outcome.metrics.size() == 2);
}

TEST_CASE("PostgreSQL: an ordinary role counts everybody's connections") {
  const auto server = PostgresServer::start({false, {"max_connections=20"}});
  if (!server) return;
  const auto limits = Limits{}.within(30s);
  io::postgres::Connection::open(server->local(), limits).run("CREATE ROLE app LOGIN PASSWORD 'c4nary'", limits);
  std::vector<io::postgres::Connection> others;
  for (int i = 0; i < 11; ++i) others.push_back(io::postgres::Connection::open(server->local(), limits));
  auto target = server->tcp();
  for (const auto* user : {"app", "postgres"}) {
    CAPTURE(user);
    target.user = user;
    target.password = Secret{user == std::string_view{"app"} ? "c4nary" : PostgresServer::password};
    auto check = postgres(target);
    std::get<PostgresCheck>(check.what).fail_connections = 50;
    const auto outcome = run_one(check);
    CAPTURE(outcome.message);
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.message.find(" of 20 connections are used") != std::string::npos);
  }
}

TEST_CASE("PostgreSQL: lag of a primary and its replica, as a superuser and an ordinary role see it, and once the primary is gone") {
  const auto primary = PostgresServer::start();
  if (!primary) return;
  const auto limits = Limits{}.within(60s);
  io::postgres::Connection::open(primary->local(), limits).run("CREATE ROLE app LOGIN", limits);
  const auto seen_by = [](const PostgresServer& server, const char* user) {
    auto target = server.local();
    target.user = user;
    auto check = postgres(target);
    std::get<PostgresCheck>(check.what).fail_lag = 30s;
    return run_one(check);
  };
  for (const auto* user : {"app", "postgres"}) {
    const auto outcome = seen_by(*primary, user);
    CHECK(outcome.status == Status::unknown);
    CHECK(outcome.message == "no replica is connected: there is no lag to measure");
  }
  const auto replica = primary->standby();
  if (!replica) return;
  // It accepts connections before it streams.
  for (int i = 0; i < 100 && seen_by(*replica, "postgres").status != Status::ok; ++i) Limits{}.within(100ms).wait(-1, 0);
  for (const auto* user : {"app", "postgres"}) {
    CAPTURE(user);
    const auto outcome = seen_by(*replica, user);
    CAPTURE(outcome.message);
    CHECK(outcome.status == Status::ok);
    CHECK(outcome.metrics.back().label == "lag");
  }
  // The primary counts it once it has caught up.
  for (int i = 0; i < 100 && seen_by(*primary, "postgres").status != Status::ok; ++i) Limits{}.within(100ms).wait(-1, 0);
  CHECK(seen_by(*primary, "postgres").status == Status::ok);
  const auto hidden = seen_by(*primary, "app");
  CHECK(hidden.status == Status::unknown);
  CHECK(hidden.hint.find("GRANT pg_monitor") == 0);
  primary->stop();
  for (const auto* user : {"app", "postgres"}) {
    CAPTURE(user);
    auto outcome = seen_by(*replica, user);
    for (int i = 0; i < 100 && outcome.status == Status::ok; ++i) {
      Limits{}.within(100ms).wait(-1, 0);
      outcome = seen_by(*replica, user);
    }
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.message.find("the replica has lost its primary") == 0);
  }
}

TEST_CASE("PostgreSQL through a Unix socket of any name") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  auto check = postgres(server->local());
  auto& what = std::get<PostgresCheck>(check.what);
  what.via.unix_socket = fmt::format("{}/.s.PGSQL.{}", what.target.host, server->port());
  what.target.host = "db.internal";
  const auto outcome = run_one(check);
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
}

TEST_CASE("a PostgreSQL port that accepts and says nothing is cut") {
  ScriptedServer server{[](Peer& peer) { peer.wait_for_hangup(5000); }};
  io::postgres::Target target;
  target.host = "127.0.0.1";
  target.port = std::to_string(server.port());
  target.user = "shop";
  auto check = postgres(target);
  check.timeout = 150ms;
  const auto outcome = run_one(check);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.elapsed < 1s);
}

TEST_CASE("Redis that answers PING is well, over TCP and a Unix socket") {
  const auto server = RedisServer::start({"--maxmemory", "100mb"});
  if (!server) return;
  const auto url = "redis://:c4nary@127.0.0.1:" + std::to_string(server->port);
  auto outcome = run_one(redis(url + "/3"));
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
  CHECK(outcome.target.find("c4nary") == std::string::npos);
  CHECK(outcome.metrics.size() == 2);
  CHECK(run_one(redis("unix://:c4nary@" + (server->folder / "redis.sock").string())).status == Status::ok);
  CHECK(run_one(redis(url + "/99")).message.find("database 99 can't be selected") == 0);
  auto memory = redis(url);
  std::get<RedisCheck>(memory.what).fail_memory = 0;
  CHECK(run_one(memory).status == Status::fail);
  auto role = redis(url);
  std::get<RedisCheck>(role.what).expect_role = "slave";
  CHECK(run_one(role).message == "its role is \"master\", not \"slave\"");
}

TEST_CASE("Redis: no password, a wrong one, and something that is no Redis") {
  const auto server = RedisServer::start();
  if (!server) return;
  const auto address = "127.0.0.1:" + std::to_string(server->port);
  CHECK(run_one(redis("redis://" + address)).message == "Redis wants a password");
  const auto wrong = run_one(redis("redis://:hunter2@" + address));
  CHECK(wrong.message.find("the login is refused") == 0);
  CHECK(wrong.message.find("hunter2") == std::string::npos);
  ScriptedServer other{[](Peer& peer) {
    peer.read_some();
    peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
  }};
  CHECK(run_one(redis("127.0.0.1:" + std::to_string(other.port()))).message.find("does not speak Redis") != std::string::npos);
}

TEST_CASE("Redis: a user that may not ask, a limit that can't be measured, no room for another client") {
  const auto server = RedisServer::start({"--maxmemory", "100mb"});
  if (!server) return;
  const auto at = "@127.0.0.1:" + std::to_string(server->port);
  const auto url = "redis://:c4nary" + at;
  io::RedisConnection admin{io::parse_redis_url(url), Limits{}.within(10s)};
  admin.command({"ACL", "SETUSER", "mon", "on", ">m0n", "+ping"}, Limits{}.within(10s));
  admin.command({"ACL", "SETUSER", "mute", "on", ">mut3", "+info"}, Limits{}.within(10s));
  auto outcome = run_one(redis("redis://mon:m0n" + at));
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
  auto limited = redis("redis://mon:m0n" + at);
  std::get<RedisCheck>(limited.what).fail_memory = 95;
  outcome = run_one(limited);
  CHECK(outcome.status == Status::unknown);
  CHECK(outcome.hint == "let the user ask for it: ACL SETUSER mon +info");
  outcome = run_one(redis("redis://mute:mut3" + at));
  CHECK(outcome.status == Status::unknown);
  CHECK(outcome.hint == "let it in the server's ACL: ACL SETUSER mute +ping");
  outcome = run_one(redis("redis://mon:m0n" + at + "/1"));
  CHECK(outcome.status == Status::unknown);
  CHECK(outcome.hint == "let it in the server's ACL: ACL SETUSER mon +select");

  admin.command({"CONFIG", "SET", "maxclients", "1"}, Limits{}.within(10s));
  for (const auto& to : {url, "redis://127.0.0.1:" + std::to_string(server->port)}) {
    outcome = run_one(redis(to));
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.message == "Redis takes no more clients: ERR max number of clients reached");
    CHECK(outcome.hint == "look for idle ones in CLIENT LIST, or raise maxclients");
  }
}

TEST_CASE("Redis that quotes the login in its error shows no password, not even the first half of a long one") {
  const auto server = RedisServer::start({"--requirepass", "", "--rename-command", "AUTH", ""}, "");
  if (!server) return;
  for (const auto& password : {std::string{"sekretPW"}, "sekret" + std::string(300, 'k')}) {
    const auto url = "redis://:" + password + "@127.0.0.1:" + std::to_string(server->port);
    const auto outcome = run_one(redis(url));
    CHECK(outcome.message.find("the login is refused: ERR unknown command 'AUTH', with args beginning with: '***'") == 0);
    CHECK(outcome.message.find("sekret") == std::string::npos);
    try {
      io::RedisConnection{io::parse_redis_url(url), Limits{}.within(10s)};
      FAIL_CHECK("the login was accepted");
    } catch (const Failure& failure) {
      CHECK(failure.message().find("'***'") != std::string::npos);
      CHECK(failure.message().find("sekret") == std::string::npos);
    }
  }
}

TEST_CASE("PostgreSQL that quotes the password in its error shows none") {
  ScriptedServer server{tests::refuse_quoting_the_password};
  const auto outcome = run_one(postgres(io::postgres::parse_target("postgres://shop:sekretPW@127.0.0.1:" + std::to_string(server.port()) + "/shop")));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.message.find("bad password: ***") != std::string::npos);
  CHECK(outcome.message.find("sekretPW") == std::string::npos);
}

TEST_CASE("names that PostgreSQL's own library would look up hold nothing up: several hosts, a service") {
  char name[] = "/tmp/codops-service-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  std::ofstream{folder / "services"} << "[foo]\nhost=hangs.test\nport=5433\n";
  ::setenv("PGSERVICEFILE", (folder / "services").c_str(), 1);
  ScriptedServer alive{[](Peer&) {}};
  Options options;
  options.lookup = [](const std::string&) {
    Limits{}.within(3s).wait(-1, 0);
    return io::Resolver::Answer{{}, -2, 0};
  };
  for (const auto* url : {"postgresql://a:b@hangs.test,hangs2.test/x", "service=foo user=a", "postgresql://a:b@hangs.test/x"}) {
    CAPTURE(url);
    auto database = postgres(io::postgres::parse_target(url));
    database.name = "database";
    Check port;
    port.name = "port";
    port.what = TcpCheck{{"127.0.0.1", alive.port(), {}}};
    const auto start = std::chrono::steady_clock::now();
    const auto report = run({database, port}, options, Limits{}.within(300ms));
    CHECK(std::chrono::steady_clock::now() - start < 2s);
    CHECK(report.outcomes[0].status == Status::unknown);
    CHECK(report.outcomes[0].stage == io::Stage::dns);
    CHECK(report.outcomes[1].status == Status::ok);
  }
  ::unsetenv("PGSERVICEFILE");
  std::filesystem::remove_all(folder);
}

TEST_CASE("a login that takes all the arithmetic there is holds nothing up") {
  using namespace std::string_literals;
  const auto message = [](char code, const std::string& text) {
    const auto size = static_cast<char>(text.size() + 8);
    return "R\0\0\0"s + size + "\0\0\0"s + code + text;
  };
  ScriptedServer greedy{[&](Peer& peer) {
    auto said = peer.read_some();
    if (said.size() == 8) {  // SSLRequest
      peer.send("N");
      said = peer.read_some();
    }
    if (said.empty()) return;
    peer.send(message(10, "SCRAM-SHA-256\0\0"s));
    const auto first = peer.read_some();
    const auto nonce = first.find("r=");
    if (nonce == std::string::npos) return;
    peer.send(message(11, first.substr(nonce) + "x,s=c2FsdA==,i=8000000"));
    peer.wait_for_hangup(5000);
  }};
  ScriptedServer alive{[](Peer& peer) { peer.wait_for_hangup(1000); }};
  auto database = postgres(io::postgres::parse_target(fmt::format("postgresql://a:b@127.0.0.1:{}/x", greedy.port())));
  database.name = "database";
  Check after;
  after.name = "port";
  after.what = TcpCheck{{"127.0.0.1", alive.port(), {}}};
  after.failures = 2;
  Check slow = after;
  slow.name = "asked while it computes";
  slow.what = AskedCheck{"x", "x", [](const Limits& limits) {
                           limits.within(200ms).wait(-1, 0);
                           return Finding{};
                         }};
  const auto start = std::chrono::steady_clock::now();
  const auto report = run({database, after, slow}, {}, Limits{}.within(2s));
  CHECK(std::chrono::steady_clock::now() - start < 3500ms);
  CHECK(report.exit() == Exit::deadline);
  CHECK(report.outcomes[0].stage == io::Stage::request);
  CHECK(report.outcomes[1].status == Status::ok);
  CHECK(report.outcomes[2].status == Status::ok);
}

TEST_CASE("a file of PostgreSQL's that is a pipe is named, and nobody waits for it") {
  char name[] = "/tmp/codops-pipe-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  const auto pipe = (folder / "ca.pem").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  auto outcome = run_one(postgres(io::postgres::parse_target("postgresql://a:b@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=" + pipe)));
  CHECK(outcome.status == Status::unknown);
  CHECK(outcome.message == "\"" + pipe + "\" is a pipe, and PostgreSQL's library wants a file");
  ::setenv("PGSERVICEFILE", pipe.c_str(), 1);
  outcome = run_one(postgres(io::postgres::parse_target("service=foo")));
  ::unsetenv("PGSERVICEFILE");
  CHECK(outcome.status == Status::unknown);
  CHECK(outcome.target == "the service \"foo\"");
  std::filesystem::remove_all(folder);
}

TEST_CASE("PostgreSQL of several hosts: one that is dead or whose name hangs leaves the others") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Options options;
  options.lookup = [](const std::string& host) {
    if (host == "hangs.test") Limits{}.within(3s).wait(-1, 0);
    return host == "lives.test" ? io::Resolver::Answer{io::numeric_addresses("127.0.0.1"), 0, 0} : io::Resolver::Answer{{}, -2, 0};
  };
  for (const auto* hosts : {"nowhere.test,lives.test", "hangs.test,lives.test", "nowhere.test,127.0.0.1"}) {
    CAPTURE(hosts);
    auto target = server->tcp();
    target.host = hosts;
    auto check = postgres(target);
    check.name = "db";
    const auto outcome = run({check}, options, Limits{}.within(10s)).outcomes.at(0);
    CAPTURE(outcome.message);
    CHECK(outcome.status == Status::ok);
  }
  ScriptedServer silent{[](Peer& peer) { peer.wait_for_hangup(5000); }};
  auto patient = server->tcp();
  patient.host = "127.0.0.1,127.0.0.1";
  patient.port = fmt::format("{},{}", silent.port(), server->port());
  patient.options["connect_timeout"] = "1";
  CHECK(run_one(postgres(patient)).status == Status::ok);
  auto target = server->tcp();
  target.host = "nowhere.test,nowhere2.test";
  auto check = postgres(target);
  check.name = "db";
  const auto outcome = run({check}, options, Limits{}.within(10s)).outcomes.at(0);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::dns);
}

TEST_CASE("PostgreSQL: what is wrong here is no word about the server") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_some();
    peer.send("S");  // to TLS
    peer.wait_for_hangup(2000);
  }};
  const auto at = fmt::format("postgresql://a:b@127.0.0.1:{}/x", server.port());
  for (const auto* query : {"?sslmode=nonsense", "?service=missing", "?target_session_attrs=best", "?connect_timeout=abc", "?keepalives=abc", "?tcp_user_timeout=10s", "?keepalives_idle=1.5", "?sslmode=verify-full&sslrootcert=/nonexistent", "?sslmode=verify-ca&sslrootcert=/nonexistent"}) {
    CAPTURE(query);
    const auto outcome = run_one(postgres(io::postgres::parse_target(at + query)));
    CAPTURE(outcome.message);
    CHECK(outcome.status == Status::unknown);
    CHECK(outcome.message.find("\"none\"") == std::string::npos);
    CHECK(outcome.hint.find("pg_hba") == std::string::npos);
  }
}

TEST_CASE("PostgreSQL without a password: the hint is to give one") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  auto target = server->tcp();
  target.password = {};
  const auto outcome = run_one(postgres(target));
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.hint == "put a password into the URL, or PGPASSWORD");
}

TEST_CASE("rows without end are cut, and cost no memory") {
  using namespace std::string_literals;
  ScriptedServer server{[](Peer& peer) {
    auto startup = peer.read_some();
    if (startup.size() == 8) {  // SSLRequest
      peer.send("N");
      startup = peer.read_some();
    }
    if (startup.empty()) return;
    peer.send("R\0\0\0\x08\0\0\0\0"s + "Z\0\0\0\x05I"s);
    peer.read_some();
    peer.send("T\0\0\0\x1a\0\x01" "a\0\0\0\0\0\0\0\0\0\0\x17\xff\xff\xff\xff\xff\xff\0\0"s);
    const auto row = "D\0\0\x40\x0a\0\x01\0\0\x40\0"s + std::string(0x4000, 'x');
    for (int i = 0; i < 20000 && peer.send(row); ++i) {
    }
  }};
  const auto start = std::chrono::steady_clock::now();
  const auto outcome = run_one(postgres(io::postgres::parse_target(fmt::format("postgresql://a:b@127.0.0.1:{}/x", server.port()))));
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.message == "one row was asked for, and more came");
  CHECK(std::chrono::steady_clock::now() - start < 3s);
}
