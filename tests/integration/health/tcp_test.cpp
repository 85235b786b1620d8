#include <doctest/doctest.h>

#include "lib/health/run.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::health;
using tests::Peer;
using tests::ScriptedServer;
using namespace std::chrono_literals;

namespace {

Check tcp(std::string host, std::uint16_t port) {
  Check check;
  check.name = "port";
  check.what = TcpCheck{{std::move(host), port, {}}};
  return check;
}

}  // namespace

TEST_CASE("a port that accepts is well; one that refuses is not") {
  std::uint16_t port = 0;
  {
    ScriptedServer server{[](Peer&) {}};
    port = server.port();
    const auto report = run({tcp("127.0.0.1", port)}, {}, Limits{}.within(5s));
    CHECK(report.outcomes[0].status == Status::ok);
    CHECK(report.outcomes[0].times.connect.has_value());
    CHECK(run({tcp("localhost", port)}, {}, Limits{}.within(5s)).outcomes[0].status == Status::ok);
  }
  const auto report = run({tcp("127.0.0.1", port)}, {}, Limits{}.within(5s));
  CHECK(report.outcomes[0].status == Status::fail);
  CHECK(report.outcomes[0].stage == io::Stage::connect);
}

TEST_CASE("a name that does not exist fails in stage dns") {
  Options options;
  options.lookup = [](const std::string&) {
    io::Resolver::Answer answer;
    answer.error = -2;  // EAI_NONAME
    return answer;
  };
  const auto report = run({tcp("nowhere.test", 80)}, options, Limits{}.within(5s));
  CHECK(report.outcomes[0].status == Status::fail);
  CHECK(report.outcomes[0].stage == io::Stage::dns);
  CHECK(report.outcomes[0].message == "the name \"nowhere.test\" does not exist");
}

TEST_CASE("waiting goes on until shortly before its deadline") {
  std::uint16_t port = 0;
  {
    ScriptedServer server{[](Peer&) {}};
    port = server.port();
  }
  const auto start = std::chrono::steady_clock::now();
  auto last = start;
  const auto report = wait_until_healthy({tcp("127.0.0.1", port)}, {}, Limits{}.within(1500ms), [&](const Report&) { last = std::chrono::steady_clock::now(); });
  CHECK(report.exit() == Exit::deadline);
  CHECK(last - start > 1300ms);
}

TEST_CASE("nothing to check is an error") {
  CHECK_THROWS_AS(run({}, {}, {}), Failure);
}
