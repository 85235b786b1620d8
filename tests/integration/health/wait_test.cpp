// Waiting until all is well: what the end of the wait may not change.
#include <doctest/doctest.h>

#include <atomic>

#include "lib/health/report.hpp"
#include "lib/health/run.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::health;
using tests::Peer;
using tests::response;
using tests::ScriptedServer;
using namespace std::chrono_literals;

namespace {

Check http(std::string url, std::string name) {
  HttpCheck what;
  what.request.url = std::move(url);
  Check check;
  check.name = std::move(name);
  check.what = std::move(what);
  return check;
}

Check closed_port(std::string name) {
  std::uint16_t port = 0;
  {
    ScriptedServer gone{[](Peer&) {}};
    port = gone.port();
  }
  Check check;
  check.name = std::move(name);
  check.what = TcpCheck{{"127.0.0.1", port, {}}};
  return check;
}

ScriptedServer::Script slowly(int milliseconds, std::string bytes) {
  return [milliseconds, bytes = std::move(bytes)](Peer& peer) {
    if (peer.read_request().empty() || peer.wait_for_hangup(milliseconds)) return;
    peer.send(bytes);
  };
}

// Answers a few times, then never again.
struct FallsSilent {
  int answers;
  std::string bytes;
  std::shared_ptr<std::atomic<int>> asked = std::make_shared<std::atomic<int>>(0);
  void operator()(Peer& peer) const {
    if (peer.read_request().empty()) return;
    if (++*asked > answers) peer.wait_for_hangup(60'000);
    else peer.send(bytes);
  }
};

}  // namespace

TEST_CASE("an endpoint that answers slowly keeps its reason to the end of the wait") {
  ScriptedServer server{slowly(300, response("", "503 Service Unavailable"))};
  const auto report = wait_until_healthy({http(server.url(), "site")}, {}, Limits{}.within(3s));
  CHECK(report.exit() == Exit::deadline);
  CHECK(report.outcomes[0].status == Status::fail);
  CHECK(report.outcomes[0].stage == io::Stage::status);
  CHECK(report.outcomes[0].message == "HTTP 503, expected 200-299");
  CHECK(junit(report).find("HTTP 503") != std::string::npos);
  CHECK(nagios(report).find("HTTP 503") != std::string::npos);
}

TEST_CASE("who was well in the last whole round is no failure of the wait") {
  ScriptedServer server{FallsSilent{2, response("ok")}};
  const auto report = wait_until_healthy({http(server.url(), "site"), closed_port("port")}, {}, Limits{}.within(2s));
  CHECK(report.exit() == Exit::deadline);
  CHECK(report.ended_by == Exit::deadline);
  CHECK(report.outcomes[0].status == Status::ok);
  CHECK(report.outcomes[1].message.starts_with("nothing listens"));
  CHECK(summary(report) == "1 of 2 checks is well · 1 failed");
}

TEST_CASE("a warning stays a warning where the wait is a strict one") {
  ScriptedServer server{FallsSilent{2, response("ok")}};
  auto check = http(server.url(), "site");
  check.warn_after = 0ms;
  Options options;
  options.strict = true;
  const auto report = wait_until_healthy({check}, options, Limits{}.within(2s));
  CHECK(report.exit(true) == Exit::deadline);
  CHECK(report.outcomes[0].status == Status::warn);
}

TEST_CASE("no round of two halves is well: one that was cut can't prove what none has seen") {
  // Once the first has fallen silent the other is well.
  const auto asked = std::make_shared<std::atomic<int>>(0);
  ScriptedServer first{FallsSilent{1, response("ok"), asked}};
  ScriptedServer second{[asked](Peer& peer) {
    if (!peer.read_request().empty()) peer.send(*asked > 1 ? response("ok") : response("", "503 Service Unavailable"));
  }};
  auto late = http(second.url(), "second");
  late.pause = 50ms;
  late.failures = 3;
  const auto report = wait_until_healthy({http(first.url(), "first"), late}, {}, Limits{}.within(2s));
  CHECK(report.exit() == Exit::deadline);
  CHECK(report.outcomes[0].status == Status::fail);
  CHECK(report.outcomes[0].cut);
  CHECK(report.outcomes[1].status == Status::ok);
}

TEST_CASE("a first round that the deadline cuts says where it hung") {
  ScriptedServer server{FallsSilent{0, ""}};
  const auto report = wait_until_healthy({http(server.url(), "site")}, {}, Limits{}.within(500ms));
  CHECK(report.exit() == Exit::deadline);
  CHECK(report.outcomes[0].message.starts_with("cut in stage request"));
}
