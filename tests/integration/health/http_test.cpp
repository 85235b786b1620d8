// Every way in which an HTTP server can misbehave, from a real socket.
#include <doctest/doctest.h>

#include <sys/resource.h>

#include <fstream>

#include "lib/health/run.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::health;
using tests::Peer;
using tests::response;
using tests::ScriptedServer;
using namespace std::chrono_literals;

namespace {

Check http(std::string url, std::string name = "web") {
  HttpCheck what;
  what.request.url = std::move(url);
  Check check;
  check.name = std::move(name);
  check.what = std::move(what);
  return check;
}

Outcome run_one(const Check& check, Milliseconds deadline = 10s) {
  auto report = run({check}, {}, Limits{}.within(deadline));
  REQUIRE(report.outcomes.size() == 1);
  return report.outcomes.front();
}

// Answers every request with the same bytes.
ScriptedServer::Script always(std::string bytes) {
  return [bytes = std::move(bytes)](Peer& peer) {
    if (!peer.read_request().empty()) peer.send(bytes);
  };
}

long max_rss_kilobytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

TEST_CASE("an endpoint that answers is well, with the time of every stage") {
  ScriptedServer server{always(response("hello"))};
  const auto outcome = run_one(http(server.url()));
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
  CHECK(outcome.http_status == 200);
  CHECK(outcome.attempts == 1);
  CHECK(outcome.times.connect.has_value());
  CHECK(outcome.times.request.has_value());
  CHECK_FALSE(outcome.times.tls.has_value());
  CHECK(outcome.address == fmt::format("127.0.0.1:{}", server.port()));
}

TEST_CASE("an unexpected status fails in stage status") {
  ScriptedServer server{always(response("", "503 Service Unavailable"))};
  auto check = http(server.url());
  auto outcome = run_one(check);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::status);
  CHECK(outcome.message == "HTTP 503, expected 200-299");
  CHECK_FALSE(outcome.hint.empty());
  std::get<HttpCheck>(check.what).expect_status = *StatusCodes::parse("5xx");
  CHECK(run_one(check).status == Status::ok);
}

TEST_CASE("nothing listens: stage connect") {
  std::uint16_t port = 0;
  {
    ScriptedServer gone{[](Peer&) {}};
    port = gone.port();
  }
  const auto outcome = run_one(http(fmt::format("http://127.0.0.1:{}/", port)));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::connect);
  CHECK(outcome.message.find("nothing listens") != std::string::npos);
}

TEST_CASE("a server that accepts and says nothing is cut by the attempt's timeout, in stage request") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.wait_for_hangup(5000);
  }};
  auto check = http(server.url());
  check.timeout = 120ms;
  const auto outcome = run_one(check);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::request);
  CHECK_FALSE(outcome.cut);
  CHECK(outcome.elapsed < 1s);
}

TEST_CASE("headers, then silence: stage body") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    peer.wait_for_hangup(5000);
  }};
  auto check = http(server.url());
  check.timeout = 120ms;
  const auto outcome = run_one(check);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::body);
}

TEST_CASE("a body that drips is cut by the total deadline, with at most 50 ms over") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (peer.send("x") && !peer.wait_for_hangup(10)) {
    }
  }};
  auto check = http(server.url());
  check.timeout = 30s;
  Report report;
  auto best = std::chrono::steady_clock::duration::max();
  // The best of three: on a busy machine a thread may wait for its turn longer than that.
  for (int i = 0; i < 3 && best > 350ms; ++i) {
    const auto start = std::chrono::steady_clock::now();
    report = run({check}, {}, Limits{}.within(300ms));
    best = std::min(best, std::chrono::steady_clock::now() - start);
  }
  CHECK(best >= 300ms);
  CHECK(best <= 350ms);
  CHECK(report.ended_by == Exit::deadline);
  CHECK(report.exit() == Exit::deadline);
  CHECK(report.outcomes[0].stage == io::Stage::body);
  CHECK(report.outcomes[0].cut);
}

TEST_CASE("a header that drips is cut too") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nX-Slow: ");
    while (peer.send("x") && !peer.wait_for_hangup(10)) {
    }
  }};
  auto check = http(server.url());
  check.timeout = 150ms;
  const auto outcome = run_one(check);
  CHECK(outcome.stage == io::Stage::request);
  CHECK(outcome.elapsed < 1s);
}

TEST_CASE("200 with truncated JSON fails in stage body") {
  ScriptedServer server{always(response(R"({"status":"ok","checks":{"db":)", "200 OK", "Content-Type: application/json\r\n"))};
  const auto outcome = run_one(http(server.url()));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::body);
  CHECK(outcome.message == "the body is not complete JSON");
}

TEST_CASE("a chunked body that is cut off is told as that") {
  ScriptedServer server{always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n11\r\nseventeen letters\r\n")};
  const auto outcome = run_one(http(server.url()));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::body);
  CHECK(outcome.message == "the body ended early, after 17 bytes: its last chunk did not come");
}

TEST_CASE("a body shorter than its Content-Length fails in stage body") {
  ScriptedServer server{always("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nshort")};
  const auto outcome = run_one(http(server.url()));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::body);
  CHECK(outcome.message.find("Content-Length") != std::string::npos);
}

TEST_CASE("health+json: 200 with fail is a failure, warn a warning") {
  for (const auto& [word, status] : {std::pair{"fail", Status::fail}, {"down", Status::fail}, {"warn", Status::warn}, {"pass", Status::ok}, {"UP", Status::ok}}) {
    CAPTURE(word);
    ScriptedServer server{always(response(fmt::format(R"({{"status":"{}"}})", word), "200 OK", "Content-Type: application/health+json; charset=utf-8\r\n"))};
    CHECK(run_one(http(server.url())).status == status);
  }
}

TEST_CASE("body, JSON path and header are asserted") {
  ScriptedServer server{always(response(R"({"checks":{"db":"ok","nodes":[{"n":1}]}})", "200 OK", "Content-Type: application/json\r\nX-Release: 13\r\n"))};
  auto check = http(server.url());
  auto& what = std::get<HttpCheck>(check.what);
  what.body_contains = {"\"db\""};
  what.expect_json = {{"$.checks.db", "ok"}, {"/checks/nodes/0/n", "1"}};
  what.expect_headers = {{"x-release", "13"}};
  what.capture = {"x-release"};
  const auto outcome = run_one(check);
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
  CHECK(outcome.captured.at("x-release") == "13");
  what.expect_json = {{"checks.db", "down"}};
  CHECK(run_one(check).message == "checks.db is \"ok\", not \"down\"");
  what.expect_json = {};
  what.expect_headers = {{"x-release", "14"}};
  CHECK(run_one(check).stage == io::Stage::status);
}

TEST_CASE("a redirect loop ends after five hops") {
  ScriptedServer server{always(response("", "302 Found", "Location: /again\r\n"))};
  const auto outcome = run_one(http(server.url()));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::status);
  CHECK(outcome.message.find("redirects") != std::string::npos);
  CHECK(server.connections() == 6);
}

TEST_CASE("a redirect is followed to another server, which sees none of the first one's secrets") {
  std::string seen;
  ScriptedServer second{[&](Peer& peer) {
    seen = peer.read_request();
    peer.send(response("there"));
  }, {"127.0.0.2"}};
  ScriptedServer first{always(response("", "301 Moved Permanently", "Location: " + second.url("/there") + "\r\n"))};
  auto check = http("http://user:hunter2@127.0.0.1:" + std::to_string(first.port()) + "/");
  auto& what = std::get<HttpCheck>(check.what);
  what.request.headers = {{"X-Api-Key", Secret{"canary"}}};
  what.body_contains = {"there"};
  const auto outcome = run_one(check);
  CAPTURE(outcome.message);
  CHECK(outcome.status == Status::ok);
  CHECK(seen.find("GET /there") == 0);
  CHECK(seen.find("canary") == std::string::npos);
  CHECK(seen.find("Authorization") == std::string::npos);
  what.request.redirects = io::HttpProbeRequest::Redirects::same_host;
  const auto refused = run_one(check);
  CHECK(refused.message.find("another host") != std::string::npos);
  CHECK(refused.hint.find("follow_redirects: true") != std::string::npos);
}

TEST_CASE("an answer that ends in the middle of its headers is none") {
  for (const auto* bytes : {"HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"}) {
    CAPTURE(bytes);
    ScriptedServer server{always(bytes)};
    auto check = http(server.url());
    std::get<HttpCheck>(check.what).expect_status = *StatusCodes::parse("100-599");
    for (const auto* method : {"GET", "HEAD"}) {
      std::get<HttpCheck>(check.what).request.method = method;
      const auto outcome = run_one(check);
      CAPTURE(outcome.message);
      CHECK(outcome.status == Status::fail);
      CHECK(outcome.stage == io::Stage::request);
      CHECK_FALSE(outcome.hint.empty());
    }
  }
}

TEST_CASE("headers that leave the length of the body open fail, at once") {
  for (const auto* bytes : {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5000\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Length: 2\r\n\r\nok",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"}) {
    CAPTURE(bytes);
    ScriptedServer server{[&](Peer& peer) {
      peer.read_request();
      peer.send(bytes);
      peer.wait_for_hangup(5000);
    }};
    const auto outcome = run_one(http(server.url()));
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.stage == io::Stage::status);
    CHECK(outcome.message.find("the headers contradict each other") == 0);
    CHECK(outcome.elapsed < 2s);
  }
  ScriptedServer twice{always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")};
  CHECK(run_one(http(twice.url())).status == Status::ok);
}

TEST_CASE("one header line of megabytes is the server's fault, said at once") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nX-Big: " + std::string(5U << 20U, 'x') + "\r\nContent-Length: 0\r\n\r\n");
    peer.wait_for_hangup(5000);
  }};
  const auto report = run({http(server.url())}, {}, Limits{}.within(10s));
  const auto& outcome = report.outcomes.at(0);
  CAPTURE(outcome.message);
  CHECK(report.exit() == Exit::unhealthy);
  CHECK(outcome.stage == io::Stage::request);
  CHECK(outcome.message.find("headers is longer than 100 KB") != std::string::npos);
  CHECK(outcome.elapsed < 2s);
  CHECK(server.connections() == 1);
}

TEST_CASE("a body that quotes what it was sent shows no secret of it") {
  ScriptedServer server{always(response(R"({"you": "Bearer sekret-token dXNlcjpodW50ZXIy canary"})", "200 OK", "Content-Type: application/json\r\n"))};
  auto check = http("http://user:hunter2@127.0.0.1:" + std::to_string(server.port()) + "/?token=canary");
  auto& what = std::get<HttpCheck>(check.what);
  what.request.headers = {{"X-Auth-Token", Secret{"sekret-token"}}};
  what.expect_json = {{"/you", "me"}};
  const auto outcome = run_one(check);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.message == "/you is \"Bearer *** *** ***\", not \"me\"");
}

TEST_CASE("secrets of a URL are sent, and never shown") {
  std::string seen;
  ScriptedServer server{[&](Peer& peer) {
    seen = peer.read_request();
    peer.send(response("no", "500 Internal Server Error"));
  }};
  const auto outcome = run_one(http("http://user:hunter2@127.0.0.1:" + std::to_string(server.port()) + "/x?token=canary&page=2"));
  CHECK(seen.find("Authorization: Basic dXNlcjpodW50ZXIy") != std::string::npos);
  CHECK(seen.find("token=canary") != std::string::npos);
  for (const auto& text : {outcome.target, outcome.message, outcome.hint, outcome.address}) {
    CHECK(text.find("hunter2") == std::string::npos);
    CHECK(text.find("canary") == std::string::npos);
  }
  CHECK(outcome.target.find("page=2") != std::string::npos);
}

TEST_CASE("an endless body costs no memory and no time") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n");
    const std::string block(1U << 16U, 'x');
    while (peer.send(block)) {
    }
  }};
  const auto before = max_rss_kilobytes();
  const auto outcome = run_one(http(server.url()));
  CHECK(outcome.status == Status::ok);
  CHECK(max_rss_kilobytes() - before < 8 * 1024);
}

TEST_CASE("a dead IPv6 address beside a live IPv4 one costs 200 ms, no more") {
  // 100::/64 is the discard prefix (RFC 6666); where it has no route the connection fails at once.
  ScriptedServer server{always(response("hello"))};
  Options options;
  options.lookup = [](const std::string&) {
    io::Resolver::Answer answer;
    answer.addresses = io::numeric_addresses("100::1");
    const auto live = io::numeric_addresses("127.0.0.1");
    answer.addresses.insert(answer.addresses.end(), live.begin(), live.end());
    return answer;
  };
  const auto url = fmt::format("http://dual.test:{}/", server.port());
  const auto report = run({http(url)}, options, Limits{}.within(5s));
  CAPTURE(report.outcomes[0].message);
  CHECK(report.outcomes[0].status == Status::ok);
  CHECK(report.outcomes[0].elapsed < 3s);
}

TEST_CASE("of two addresses of one family the second answers when the first is dead") {
  ScriptedServer server{always(response("hello"))};
  Options options;
  options.lookup = [](const std::string&) {
    io::Resolver::Answer answer;
    for (const auto* address : {"127.0.0.2", "127.0.0.1"}) answer.addresses.push_back(io::numeric_addresses(address).at(0));
    return answer;
  };
  const auto report = run({http(fmt::format("http://two.test:{}/", server.port()))}, options, Limits{}.within(5s));
  CHECK(report.outcomes[0].status == Status::ok);
  CHECK(report.outcomes[0].address == fmt::format("127.0.0.1:{}", server.port()));
  CHECK(run({http("http://two.test:1/")}, options, Limits{}.within(5s)).outcomes[0].stage == io::Stage::connect);
}

TEST_CASE("letters that name servers do not know, and a body that is compressed, are no word about the server") {
  ScriptedServer server{always(response("\x1f\x8b", "200 OK", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"))};
  auto outcome = run_one(http("http://b\xc3\xbc" "cher.example/"));
  CHECK(outcome.status == Status::unknown);
  CHECK(outcome.hint.find("xn--") != std::string::npos);
  outcome = run_one(http(server.url()));
  CHECK(outcome.status == Status::unknown);
  CHECK(outcome.message.find("gzip") != std::string::npos);
}

TEST_CASE("a resolver that hangs breaks no deadline, and other checks go on") {
  ScriptedServer server{always(response("hello"))};
  Options options;
  options.lookup = [](const std::string& host) {
    if (host == "hangs.test") Limits{}.within(4s).wait(-1, 0);
    return io::Resolver::system_lookup("127.0.0.1");
  };
  const auto start = std::chrono::steady_clock::now();
  const auto report = run({http("http://hangs.test/", "hangs"), http(fmt::format("http://lives.test:{}/", server.port()), "lives")},
                          options, Limits{}.within(250ms));
  CHECK(std::chrono::steady_clock::now() - start < 2s);
  CHECK(report.outcomes[0].stage == io::Stage::dns);
  CHECK(report.outcomes[0].status == Status::unknown);
  CHECK(report.outcomes[1].status == Status::ok);
  CHECK(report.exit() == Exit::deadline);
}

TEST_CASE("names that hang, more than there are threads, do not keep the others waiting") {
  ScriptedServer server{always(response("hello"))};
  Options options;
  options.lookup = [](const std::string& host) {
    if (host.starts_with("hangs")) Limits{}.within(3s).wait(-1, 0);
    return io::Resolver::system_lookup("127.0.0.1");
  };
  std::vector<Check> checks;
  for (int i = 0; i < 40; ++i) checks.push_back(http(fmt::format("http://hangs{}.test/", i), fmt::format("hangs {}", i)));
  for (int i = 0; i < 20; ++i) checks.push_back(http(fmt::format("http://lives{}.test:{}/", i, server.port()), fmt::format("lives {}", i)));
  const auto report = run(checks, options, Limits{}.within(2s));
  for (std::size_t i = 0; i < 40; ++i) CHECK(report.outcomes[i].status == Status::unknown);
  for (std::size_t i = 40; i < 60; ++i) CHECK(report.outcomes[i].status == Status::ok);
}

TEST_CASE("what waited for its turn and was cut at the deadline has not failed") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    if (!peer.wait_for_hangup(200)) peer.send(response("hello"));
  }};
  Options options;
  options.parallel = 1;
  std::vector<Check> checks;
  for (int i = 0; i < 8; ++i) checks.push_back(http(server.url(), fmt::format("slow {}", i)));
  const auto report = run(checks, options, Limits{}.within(900ms));
  CHECK(report.outcomes.front().status == Status::ok);
  CHECK(report.outcomes.back().status == Status::unknown);
  CHECK(std::none_of(report.outcomes.begin(), report.outcomes.end(), [](const auto& outcome) { return outcome.status == Status::fail; }));
  CHECK(report.exit() == Exit::deadline);
}

TEST_CASE("a flapping endpoint is called flapping") {
  std::atomic<int> count{0};
  ScriptedServer server{[&](Peer& peer) {
    peer.read_request();
    peer.send(count++ % 2 == 0 ? response("ok") : response("no", "500 Oops"));
  }};
  auto check = http(server.url());
  check.failures = 2;
  check.successes = 2;
  check.pause = 1ms;
  const auto outcome = run_one(check);
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.message.find("flapping: 8 of 16 attempts failed") == 0);
}

TEST_CASE("retries forgive a failure, and successes in a row are counted") {
  std::atomic<int> count{0};
  ScriptedServer server{[&](Peer& peer) {
    peer.read_request();
    peer.send(count++ == 0 ? response("no", "500 Oops") : response("ok"));
  }};
  auto check = http(server.url());
  check.failures = 3;
  check.successes = 3;
  check.pause = 1ms;
  const auto outcome = run_one(check);
  CHECK(outcome.status == Status::ok);
  CHECK(outcome.attempts == 4);
}

TEST_CASE("children of a failed check are skipped, and name the first cause") {
  ScriptedServer bad{always(response("", "500 Oops"))};
  ScriptedServer good{always(response("fine"))};
  auto gateway = http(bad.url(), "gateway");
  auto api = http(good.url(), "api");
  api.after = {"gateway"};
  auto shop = http(good.url(), "shop");
  shop.after = {"api"};
  const auto report = run({shop, api, gateway}, {}, Limits{}.within(5s));
  CHECK(report.outcomes[0].status == Status::skipped);
  CHECK(report.outcomes[0].message == "skipped: \"gateway\" failed");
  CHECK(report.outcomes[1].status == Status::skipped);
  CHECK(report.exit() == Exit::unhealthy);
  CHECK(good.connections() == 0);
}

TEST_CASE("a cancellation in mid-run ends it at once") {
  CancelSource source;
  ScriptedServer server{[&](Peer& peer) {
    peer.read_request();
    source.cancel(Exit::terminated);
    peer.wait_for_hangup(5000);
  }};
  const auto start = std::chrono::steady_clock::now();
  const auto report = run({http(server.url())}, {}, {Deadline::after(10s), source.token()});
  CHECK(std::chrono::steady_clock::now() - start < 3s);
  CHECK(report.exit() == Exit::terminated);
  CHECK(report.outcomes[0].status == Status::unknown);
}

TEST_CASE("what answers is no HTTP") {
  ScriptedServer server{always("SSH-2.0-OpenSSH_9.2\r\n")};
  const auto outcome = run_one(http(server.url()));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::request);
}

TEST_CASE("a reset in mid-answer") {
  ScriptedServer server{[](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123");
    peer.wait_for_hangup(20);
    peer.reset();
  }};
  const auto outcome = run_one(http(server.url()));
  CHECK(outcome.status == Status::fail);
  CHECK(outcome.stage == io::Stage::body);
}

TEST_CASE("2,000 checks with room for 64 files end without a false failure") {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  ScriptedServer server{always(response("hello"))};
  std::vector<Check> checks;
  for (int i = 0; i < 2000; ++i) checks.push_back(http(server.url("/" + std::to_string(i)), "web " + std::to_string(i)));
  // The server shares this process's files, so both get 32.
  rlimit low = before;
  low.rlim_cur = 64;
  ::setrlimit(RLIMIT_NOFILE, &low);
  Options options;
  options.parallel = 16;
  const auto report = run(checks, options, Limits{}.within(60s));
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(report.count(Status::ok) == 2000);
  for (const auto& outcome : report.outcomes) {
    if (outcome.status != Status::ok) FAIL_CHECK(outcome.message);
  }
}

TEST_CASE("headers and interim responses without end cost no memory") {
  for (const auto* line : {"X-More: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", "\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n"}) {
    CAPTURE(line);
    ScriptedServer server{[line](Peer& peer) {
      peer.read_request();
      peer.send(std::string_view{line}.starts_with("X") ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 103 Early Hints\r\n");
      std::string block;
      for (int i = 0; i < 500; ++i) block += line;
      while (peer.send(block)) {
      }
    }};
    const auto before = max_rss_kilobytes();
    const auto outcome = run_one(http(server.url()));
    CHECK(outcome.status == Status::fail);
    CHECK(outcome.stage == io::Stage::request);
    CHECK(outcome.message == "the headers are longer than 128 KB");
    CHECK(max_rss_kilobytes() - before < 8 * 1024);
  }
}

TEST_CASE("a large JSON answer is read to its end: its status counts, and so does its truncation") {
  const std::string filler(300'000, 'x');
  ScriptedServer sick{always(response(R"({"filler":")" + filler + R"(","status":"fail"})", "200 OK", "Content-Type: Application/Health+JSON\r\n"))};
  CHECK(run_one(http(sick.url())).message == "HTTP 200, but the body says \"fail\"");
  ScriptedServer cut{always(response(R"({"filler":")" + filler, "200 OK", "Content-Type: application/json\r\n"))};
  CHECK(run_one(http(cut.url())).message == "the body is not complete JSON");
}

TEST_CASE("a Content-Length that is too small, or no number") {
  ScriptedServer more{always("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{\"status\":\"ok\"}")};
  CHECK(run_one(http(more.url())).stage == io::Stage::body);  // the JSON ends early
  ScriptedServer nonsense{always("HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\nhello")};
  CHECK(run_one(http(nonsense.url())).status == Status::fail);
}

TEST_CASE("waiting: what failed for good does not hide that the deadline came") {
  ScriptedServer bad{always(response("", "503 Service Unavailable"))};
  ScriptedServer slow{[](Peer& peer) {
    peer.read_request();
    peer.wait_for_hangup(5000);
  }};
  CHECK(wait_until_healthy({http(bad.url(), "bad"), http(slow.url(), "slow")}, {}, Limits{}.within(300ms)).exit() == Exit::deadline);
}

TEST_CASE("waiting takes a report's last word: what a service need not offer does not hold it up") {
  ScriptedServer server{always(response("", "404 Not Found"))};
  Options options;
  options.settle = [](Report report) {
    report.outcomes.at(0).status = Status::ok;
    return report;
  };
  CHECK(wait_until_healthy({http(server.url())}, options, Limits{}.within(5s)).healthy());
}
