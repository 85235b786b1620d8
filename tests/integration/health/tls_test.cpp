// TLS as it goes wrong, with certificates made here.
#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <list>
#include <thread>

#include "lib/health/run.hpp"
#include "lib/io/http.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::health;
using tests::CertificateRequest;
using tests::Identity;
using tests::make_certificate;
using tests::Peer;
using tests::response;
using tests::ScriptedServer;
using tests::ServerOptions;
using namespace std::chrono_literals;

namespace {

struct Folder {
  std::filesystem::path path;
  Folder() {
    char name[] = "/tmp/codops-test-XXXXXX";
    path = ::mkdtemp(name);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name, const std::string& text) const {
    tests::write_file(path / name, text);
    return (path / name).string();
  }
};

// root → intermediate → shop.test
struct Authority {
  Identity root = make_certificate({"Test Root", {}, -1, 3650, true, nullptr});
  Identity intermediate = make_certificate({"Test Intermediate", {}, -1, 3650, true, &root});
  Folder folder;
  std::string ca_file = folder.file("ca.pem", root.pem());

  Identity leaf(long from = -1, long to = 30, std::vector<std::string> names = {"DNS:shop.test"}) const {
    return make_certificate({"shop.test", std::move(names), from, to, false, &intermediate});
  }
};

void answer(Peer& peer) {
  if (!peer.read_request().empty()) peer.send(response("hello"));
}

Check https(const ScriptedServer& server, const Authority& authority) {
  HttpCheck what;
  what.request.url = server.url();
  what.request.server_name = "shop.test";
  what.request.trust.ca_file = authority.ca_file;
  Check check;
  check.name = "web";
  check.what = what;
  return check;
}

Check tls(const ScriptedServer& server, const Authority& authority) {
  TlsCheck what;
  what.target = {{"127.0.0.1", server.port(), {}}, "shop.test", {authority.ca_file, "", "", false}};
  Check check;
  check.name = "web";
  check.what = what;
  return check;
}

Outcome run_one(const Check& check) {
  const auto report = run({check}, {}, Limits{}.within(10s));
  return report.outcomes.at(0);
}

ServerOptions serving(const Identity& identity, const std::string& chain) {
  ServerOptions options;
  options.identity = &identity;
  options.chain = chain;
  return options;
}

// Both ways to look at a certificate must agree.
void both(const ScriptedServer& server, const Authority& authority, const std::function<void(const Outcome&)>& expect) {
  for (const auto& check : {https(server, authority), tls(server, authority)}) {
    const auto outcome = run_one(check);
    CAPTURE(outcome.kind);
    CAPTURE(outcome.message);
    expect(outcome);
  }
}

}  // namespace

TEST_CASE("the dot at the end of a name is no part of it for a certificate") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{answer, serving(leaf, authority.intermediate.pem())};
  auto web = https(server, authority), port = tls(server, authority);
  std::get<HttpCheck>(web.what).request.server_name = "shop.test.";
  std::get<TlsCheck>(port.what).target.server_name = "shop.test.";
  for (const auto& check : {web, port}) {
    const auto outcome = run_one(check);
    CAPTURE(outcome.message);
    CHECK(outcome.status == Status::ok);
  }
}

TEST_CASE("a pipe that nobody writes to in the place of a CA holds up its own check alone") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{answer, serving(leaf, authority.intermediate.pem())};
  const auto pipe = (authority.folder.path / "pipe.pem").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  auto web = https(server, authority), port = tls(server, authority), well = web;
  std::get<HttpCheck>(web.what).request.trust.ca_file = pipe;
  std::get<TlsCheck>(port.what).target.trust.client_certificate = pipe;
  port.name = "port";
  port.timeout = 100ms;
  well.name = "well";
  const auto start = std::chrono::steady_clock::now();
  const auto report = run({web, port, well}, {}, Limits{}.within(2s));
  CHECK(std::chrono::steady_clock::now() - start < 4s);
  CHECK(report.exit() == Exit::deadline);
  CHECK(report.outcomes[0].status == Status::unknown);
  CHECK(report.outcomes[0].message == "\"" + pipe + "\" was not read when the deadline came");
  CHECK(report.outcomes[1].status == Status::unknown);
  CHECK(report.outcomes[1].message == "\"" + pipe + "\" was not read within 0.1 s");
  CHECK(report.outcomes[2].status == Status::ok);
}

TEST_CASE("certificates and keys from pipes, as shells make them") {
  const Authority authority;
  const auto leaf = authority.leaf();
  const auto client = make_certificate({"client", {}, -1, 30, false, &authority.root});
  auto options = serving(leaf, authority.intermediate.pem());
  options.client_ca = authority.ca_file;
  ScriptedServer server{answer, options};
  std::list<std::thread> writers;
  const auto pipe = [&](const std::string& name, const std::string& text) {
    const auto path = (authority.folder.path / name).string();
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    writers.emplace_back([path, text] { tests::write_file(path, text); });
    return path;
  };
  auto web = https(server, authority);
  auto& trust = std::get<HttpCheck>(web.what).request.trust;
  trust = {pipe("ca", authority.root.pem()), pipe("cert", client.pem()), pipe("key", client.key_pem()), false};
  auto port = tls(server, authority);
  std::get<TlsCheck>(port.what).target.trust = trust;
  port.name = "port";
  // A second round, as of --wait, finds nobody who writes.
  for (int round = 0; round < 2; ++round) {
    for (const auto& outcome : run({web, port}, {}, Limits{}.within(10s)).outcomes) {
      CAPTURE(outcome.message);
      CHECK(outcome.status == Status::ok);
    }
  }
  for (auto& writer : writers) writer.join();
}

TEST_CASE("a chain that verifies is well; leaf and verified chain are read") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{answer, serving(leaf, authority.intermediate.pem())};
  both(server, authority, [](const Outcome& outcome) {
    CHECK(outcome.status == Status::ok);
    CHECK(outcome.times.tls.has_value());
    REQUIRE(outcome.tls);
    CHECK(outcome.tls->verified);
    REQUIRE(outcome.tls->chain.size() == 3);  // the root is ours: the server did not send it
    CHECK(outcome.tls->chain[0].subject == "shop.test");
    CHECK(outcome.tls->chain[2].subject == "Test Root");
  });
}

TEST_CASE("expired, not yet valid, wrong name") {
  const Authority authority;
  struct Case {
    Identity leaf;
    std::string message;
  };
  const std::vector<Case> cases{{authority.leaf(-60, -30), "the certificate \"shop.test\" expired 30 d ago"},
                                {authority.leaf(2, 30), "the certificate \"shop.test\" is valid only from"},
                                {authority.leaf(-1, 30, {"DNS:other.test"}), "the certificate is for other.test, not for \"shop.test\""}};
  for (const auto& one : cases) {
    ScriptedServer server{answer, serving(one.leaf, authority.intermediate.pem())};
    both(server, authority, [&](const Outcome& outcome) {
      CHECK(outcome.status == Status::fail);
      CHECK(outcome.stage == io::Stage::tls);
      CHECK(outcome.message.find(one.message) == 0);
      CHECK_FALSE(outcome.hint.empty());
    });
  }
}

TEST_CASE("a missing intermediate is called that") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{answer, serving(leaf, "")};
  both(server, authority, [](const Outcome& outcome) {
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.stage == io::Stage::tls);
    CHECK(outcome.message.find("without the intermediate \"Test Intermediate\"") != std::string::npos);
  });
}

TEST_CASE("a machine without any CA certificate could not find out") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{answer, serving(leaf, authority.intermediate.pem())};
  const auto status = [&] {
    auto web = https(server, authority), port = tls(server, authority);
    std::get<HttpCheck>(web.what).request.trust.ca_file.clear();
    std::get<TlsCheck>(port.what).target.trust.ca_file.clear();
    const auto first = run_one(web), second = run_one(port);
    CHECK(first.status == second.status);
    CHECK(first.message == second.message);
    return std::pair{first.status, first.hint};
  };
  const Folder none;
  ::setenv("SSL_CERT_FILE", (none.path / "none.pem").c_str(), 1);
  ::setenv("SSL_CERT_DIR", none.path.c_str(), 1);
  const auto [lacking, hint] = status();
  CHECK(lacking == Status::unknown);
  CHECK(hint.find("install ca-certificates") == 0);
  none.file("4a6481c9.0", authority.root.pem());  // not the root's hash: somebody is trusted, but not this one
  CHECK(status().first == Status::fail);
  ::unsetenv("SSL_CERT_FILE");
  ::unsetenv("SSL_CERT_DIR");
}

TEST_CASE("a stranger's CA is not trusted") {
  const Authority authority, stranger;
  const auto leaf = stranger.leaf();
  ScriptedServer server{answer, serving(leaf, stranger.intermediate.pem())};
  both(server, authority, [](const Outcome& outcome) { CHECK(outcome.status == Status::fail); });
  const auto self = make_certificate({"self.test", {"DNS:shop.test"}, -1, 30, false, nullptr});
  ScriptedServer lonely{answer, serving(self, "")};
  both(lonely, authority, [](const Outcome& outcome) { CHECK(outcome.message.find("signed itself") != std::string::npos); });
}

TEST_CASE("a certificate that ends soon is a warning, of the leaf or of its issuer") {
  const Authority authority;
  const auto leaf = authority.leaf(-60, 5);
  ScriptedServer server{answer, serving(leaf, authority.intermediate.pem())};
  both(server, authority, [](const Outcome& outcome) {
    CHECK(outcome.status == Status::warn);
    CHECK(outcome.message.find("the certificate \"shop.test\" expires in") == 0);
    REQUIRE(outcome.metrics.size() >= 2);
  });
  const auto brief = make_certificate({"Brief Intermediate", {}, -1, 3, true, &authority.root});
  const auto long_leaf = make_certificate({"shop.test", {"DNS:shop.test"}, -1, 300, false, &brief});
  ScriptedServer other{answer, serving(long_leaf, brief.pem())};
  both(other, authority, [](const Outcome& outcome) {
    CHECK(outcome.status == Status::warn);
    CHECK(outcome.message.find("the certificate of the issuer \"Brief Intermediate\" expires in") == 0);
  });
}

TEST_CASE("mutual TLS: without a certificate of ours it fails, with it it is well") {
  const Authority authority;
  const auto leaf = authority.leaf();
  auto options = serving(leaf, authority.intermediate.pem());
  options.client_ca = authority.ca_file;
  ScriptedServer server{answer, options};
  const auto client = make_certificate({"codops", {}, -1, 30, false, &authority.root});
  auto check = https(server, authority);
  CHECK(run_one(check).status == Status::fail);
  auto& trust = std::get<HttpCheck>(check.what).request.trust;
  trust.client_certificate = authority.folder.file("client.pem", client.pem());
  trust.client_key = authority.folder.file("client.key", client.key_pem());
  const auto outcome = run_one(check);
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
  auto bare = tls(server, authority);
  std::get<TlsCheck>(bare.what).target.trust = trust;
  CHECK(run_one(bare).status == Status::ok);
}

namespace {

// The client's own certificate, in every kind of check that can have one.
std::vector<Check> presenting(const ScriptedServer& server, const Authority& authority, const io::Trust& client) {
  auto web = https(server, authority), bare = tls(server, authority), cache = bare;
  auto target = io::parse_redis_url("rediss://shop.test:" + std::to_string(server.port()));
  target.tcp.via = {"127.0.0.1", server.port(), {}};
  cache.what = RedisCheck{target, "", {}, {}};
  auto trust = client;
  trust.ca_file = authority.ca_file;
  std::get<HttpCheck>(web.what).request.trust = std::get<TlsCheck>(bare.what).target.trust = std::get<RedisCheck>(cache.what).target.trust = trust;
  return {web, bare, cache};
}

}  // namespace

TEST_CASE("a server that wants a client certificate is called that, under TLS 1.2 and 1.3") {
  const Authority authority, stranger;
  const auto leaf = authority.leaf();
  auto options = serving(leaf, authority.intermediate.pem());
  options.client_ca = authority.ca_file;
  const auto foreign = make_certificate({"codops", {}, -1, 30, false, &stranger.root});
  const io::Trust of_stranger{"", authority.folder.file("foreign.pem", foreign.pem()), authority.folder.file("foreign.key", foreign.key_pem()), false};
  for (const bool old : {false, true}) {
    CAPTURE(old);
    options.tls12 = old;
    ScriptedServer server{[](Peer& peer) { peer.read_some(); }, options};
    for (const auto& check : presenting(server, authority, {})) {
      const auto outcome = run_one(check);
      CAPTURE(outcome.kind);
      CHECK(outcome.status == Status::fail);
      CHECK(outcome.stage == io::Stage::tls);
      CHECK(outcome.message.find("wants a client certificate, and none was given") != std::string::npos);
      CHECK(outcome.hint.find("--cert FILE --key FILE") != std::string::npos);
    }
    for (const auto& check : presenting(server, authority, of_stranger)) {
      const auto outcome = run_one(check);
      CAPTURE(outcome.kind);
      CHECK(outcome.status == Status::fail);
      CHECK(outcome.stage == io::Stage::tls);
      CHECK(outcome.message.find(" our client certificate") != std::string::npos);
    }
  }
}

TEST_CASE("a server that asks for a client certificate and can do without is well") {
  const Authority authority;
  const auto leaf = authority.leaf();
  auto options = serving(leaf, authority.intermediate.pem());
  options.client_ca = authority.ca_file;
  options.client_may_lack = true;
  for (const bool old : {false, true}) {
    options.tls12 = old;
    ScriptedServer server{answer, options};
    both(server, authority, [](const Outcome& outcome) { CHECK(outcome.status == Status::ok); });
  }
}

TEST_CASE("an encrypted client key: its passphrase, or an error that names the file; nobody is asked") {
  const Authority authority;
  const auto leaf = authority.leaf();
  auto options = serving(leaf, authority.intermediate.pem());
  options.client_ca = authority.ca_file;
  ScriptedServer server{[](Peer& peer) {
    if (peer.read_some().find("GET ") == 0) peer.send(response("hello"));
    else peer.send("+PONG\r\n$12\r\nrole:master\r\n\r\n");
  }, options};
  const auto client = make_certificate({"codops", {}, -1, 30, false, &authority.root});
  const auto key = authority.folder.file("client.key", client.key_pem("open sesame"));
  io::Trust trust{"", authority.folder.file("client.pem", client.pem()), key, false};
  const auto each = [&](const std::function<void(const Outcome&)>& expect) {
    for (const auto& check : presenting(server, authority, trust)) {
      const auto outcome = run_one(check);
      CAPTURE(outcome.kind);
      CAPTURE(outcome.message);
      expect(outcome);
    }
  };
  each([&](const Outcome& outcome) {
    CHECK(outcome.status == Status::unknown);
    CHECK(outcome.message == "the client key \"" + key + "\" is encrypted, and its passphrase is not given");
    CHECK(outcome.hint.find("CODOPS_KEY_PASSPHRASE") != std::string::npos);
  });
  trust.key_passphrase = Secret{"wrong"};
  each([&](const Outcome& outcome) {
    CHECK(outcome.status == Status::unknown);
    CHECK(outcome.message == "the passphrase given does not open the client key \"" + key + "\"");
  });
  trust.key_passphrase = Secret{"open sesame"};
  each([&](const Outcome& outcome) { CHECK(outcome.status == Status::ok); });
  trust.client_key = authority.ca_file;
  each([&](const Outcome& outcome) { CHECK(outcome.message.find("the client key \"" + authority.ca_file + "\" can't be used: ") == 0); });
  trust.client_certificate = "/nonexistent/client.pem";
  each([&](const Outcome& outcome) { CHECK(outcome.message == "no client certificate can be read from \"/nonexistent/client.pem\": No such file or directory"); });
}

TEST_CASE("an encrypted client key of an engine, a cluster or PostgreSQL: an error that names the file") {
  const Authority authority;
  const auto leaf = authority.leaf();
  auto options = serving(leaf, authority.intermediate.pem());
  options.client_ca = authority.ca_file;
  ScriptedServer server{answer, options};
  const auto client = make_certificate({"codops", {}, -1, 30, false, &authority.root});
  io::HttpServer to;
  to.url = server.url();
  to.tls_name = "shop.test";
  to.tls.ca_file = authority.ca_file;
  to.tls.cert_file = authority.folder.file("client.pem", client.pem());
  to.tls.key_file = authority.folder.file("client.key", client.key_pem("open sesame"));
  const auto refusal = [](const std::function<void()>& act) {
    try {
      act();
      return std::string{"none"};
    } catch (const Failure& failure) {
      return failure.message() + " | " + failure.hint();
    }
  };
  const auto limits = Limits{}.within(10s);
  const auto by_file = refusal([&] { io::HttpClient{to}.send({}, limits); });
  CHECK(by_file.find("the client key \"" + to.tls.key_file + "\" is encrypted") != std::string::npos);
  CHECK(by_file.find("openssl pkey -in " + to.tls.key_file) != std::string::npos);
  to.tls.key_file.clear();
  to.tls.key_pem = Secret{client.key_pem("open sesame")};
  CHECK(refusal([&] { io::HttpClient{to}.send({}, limits); }).find("the client key is encrypted") != std::string::npos);
  to.tls.key_pem = Secret{client.key_pem()};
  CHECK(refusal([&] { CHECK(io::HttpClient{to}.send({}, limits).body == "hello"); }) == "none");

  ScriptedServer database{[](Peer& peer) {
    peer.read_some();
    peer.send("S");
    peer.wait_for_hangup(5000);
  }};
  io::postgres::Target target;
  target.host = "127.0.0.1";
  target.port = std::to_string(database.port());
  target.user = "shop";
  const auto key = authority.folder.file("pg.key", client.key_pem("open sesame"));
  std::filesystem::permissions(key, std::filesystem::perms{0600});
  target.options = {{"sslmode", "require"}, {"sslcert", to.tls.cert_file}, {"sslkey", key}};
  const auto expected = "the client key \"" + key + "\" is encrypted, and its passphrase is not given";
  CHECK(refusal([&] { io::postgres::Connection::open(target, limits); }).find(expected) == 0);
  Check check;
  check.name = "db";
  check.what = PostgresCheck{target, {}, {}, {}, {}, {}};
  const auto outcome = run_one(check);
  CHECK(outcome.status == Status::unknown);
  CHECK(outcome.message == expected);
  CHECK(outcome.hint.find("sslpassword=") != std::string::npos);
}

TEST_CASE("headers that TLS cuts off without a word are no answer") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n");
    ::shutdown(peer.fd(), SHUT_RDWR);  // no close_notify
  }, serving(leaf, authority.intermediate.pem())};
  const auto outcome = run_one(https(server, authority));
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::request);
}

TEST_CASE("a redirect from https to http is refused") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.send(response("", "301 Moved Permanently", "Location: http://user:hunter2@shop.test/plain\r\n"));
  }, serving(leaf, authority.intermediate.pem())};
  const auto outcome = run_one(https(server, authority));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::status);
  CHECK(outcome.message.find("refused: it leaves TLS") != std::string::npos);
  CHECK(outcome.message.find("hunter2") == std::string::npos);
}

TEST_CASE("slow TLS is cut in stage tls") {
  const Authority authority;
  const auto leaf = authority.leaf();
  auto options = serving(leaf, "");
  options.handshake = false;
  ScriptedServer server{[](Peer& peer) { peer.wait_for_hangup(5000); }, options};
  for (auto check : {https(server, authority), tls(server, authority)}) {
    check.timeout = 120ms;
    const auto outcome = run_one(check);
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.stage == io::Stage::tls);
    CHECK(outcome.elapsed < 1s);
  }
}

TEST_CASE("plain text where TLS is expected") {
  const Authority authority;
  const auto leaf = authority.leaf();
  auto options = serving(leaf, "");
  options.handshake = false;
  ScriptedServer server{[](Peer& peer) {
    peer.read_some();
    peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
  }, options};
  both(server, authority, [](const Outcome& outcome) {
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.stage == io::Stage::tls);
  });
}

TEST_CASE("an insecure check still reads the certificate") {
  const Authority authority;
  const auto leaf = authority.leaf(-60, -30);
  ScriptedServer server{answer, serving(leaf, authority.intermediate.pem())};
  auto check = https(server, authority);
  std::get<HttpCheck>(check.what).request.trust.insecure = true;
  const auto outcome = run_one(check);
  CAPTURE(outcome.message);
  REQUIRE(outcome.tls);
  CHECK_FALSE(outcome.tls->verified);
  CHECK(outcome.http_status == 200);
  auto bare = tls(server, authority);
  std::get<TlsCheck>(bare.what).target.trust.insecure = true;
  for (const auto& insecure : {outcome, run_one(bare)}) {
    CHECK(insecure.status == Status::warn);
    CHECK(insecure.message.find("the certificate \"shop.test\" expired 30 d ago") == 0);
  }
}

TEST_CASE("a CA file that can't be read: could not find out, exit 3") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{answer, serving(leaf, authority.intermediate.pem())};
  auto check = https(server, authority);
  std::get<HttpCheck>(check.what).request.trust.ca_file = "/nonexistent/ca.pem";
  const auto report = run({check}, {}, Limits{}.within(5s));
  CHECK(report.outcomes[0].status == Status::unknown);
  CHECK(report.exit() == Exit::unknown);
}

TEST_CASE("ten fresh connections through the front door") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{[](Peer& peer) {
    const auto request = peer.read_request();
    const bool named = request.find("Host: shop.test:") != std::string::npos;
    peer.send(response("", named ? "200 OK" : "421 Misdirected Request", "X-Release: 13\r\n"));
  }, serving(leaf, authority.intermediate.pem())};
  std::vector<Check> checks;
  for (int i = 0; i < 10; ++i) {
    auto check = https(server, authority);
    check.name = "front door " + std::to_string(i + 1);
    std::get<HttpCheck>(check.what).capture = {"x-release"};
    checks.push_back(check);
  }
  const auto report = run(checks, {}, Limits{}.within(5s));
  CHECK(report.healthy());
  CHECK(server.connections() == 10);
  for (const auto& outcome : report.outcomes) CHECK(outcome.captured.at("x-release") == "13");
}

TEST_CASE("Redis over TLS") {
  const Authority authority;
  const auto leaf = authority.leaf();
  ScriptedServer server{[](Peer& peer) {
    std::string seen;
    while (seen.find("INFO") == std::string::npos) {
      const auto some = peer.read_some();
      if (some.empty()) return;
      seen += some;
    }
    peer.send("+OK\r\n+PONG\r\n$12\r\nrole:master\r\n\r\n");
  }, serving(leaf, authority.intermediate.pem())};
  auto target = io::parse_redis_url("rediss://:secret@shop.test:" + std::to_string(server.port()));
  target.tcp.via = {"127.0.0.1", server.port(), {}};
  target.trust.ca_file = authority.ca_file;
  Check check;
  check.name = "redis";
  check.what = RedisCheck{target, "master", {}, {}};
  const auto outcome = run_one(check);
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
  CHECK(outcome.times.tls.has_value());
  target.tcp.host = "other.test";
  check.what = RedisCheck{target, "", {}, {}};
  CHECK(run_one(check).stage == io::Stage::tls);
}
