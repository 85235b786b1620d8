#include "lib/health/report.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace codops;
using namespace codops::health;
using namespace std::chrono_literals;

namespace {

Report sample() {
  Report report;
  report.started = WallTime{std::chrono::seconds{1'700'000'000}};
  report.elapsed = 45ms;
  Outcome web;
  web.name = "web";
  web.kind = "http";
  web.target = "https://shop.test/health";
  web.status = Status::ok;
  web.elapsed = 12ms;
  web.attempts = 1;
  web.http_status = 200;
  web.tls = io::TlsFacts{"TLSv1.3", {{"shop.test", "CA", {"shop.test"}, {}, WallTime{std::chrono::seconds{1'800'000'000}}}}, true};
  web.metrics = {{"time", 0.012, "s", {}, 5, 0, {}}, {"certificate", 90, "d", 14, 0, {}, {}, true}};
  Outcome db;
  db.name = "it's \"db\" <1>|=";
  db.kind = "postgres";
  db.target = "\"shop\" on db:5432";
  db.status = Status::fail;
  db.stage = io::Stage::connect;
  db.message = "nothing listens on db:5432\n::error ::injected | 50%";
  db.hint = "start the service";
  db.attempts = 3;
  db.elapsed = 1200ms;
  db.times.dns = 1ms;
  Outcome orders;
  orders.name = "orders";
  orders.kind = "http";
  orders.target = "http://h/orders";
  orders.status = Status::skipped;
  orders.message = "skipped: \"db\" failed";
  report.outcomes = {web, db, orders};
  return report;
}

}  // namespace

TEST_CASE("the table has failures first, with stage, time and hint") {
  const auto text = table(sample(), 100, false);
  CHECK(text ==
        "    CHECK            TARGET                    STAGE     TIME\n"
        "  ✗ it's \"db\" <1>|=  \"shop\" on db:5432         connect   1.2 s\n"
        "      nothing listens on db:5432 ::error ::injected | 50% (3 attempts)\n"
        "      dns 1 ms\n"
        "      hint: start the service\n"
        "  – orders           http://h/orders\n"
        "      skipped: \"db\" failed\n"
        "  ✓ web              https://shop.test/health            12 ms\n"
        "  1 of 3 checks is well · 1 failed · 1 skipped · 45 ms\n");
  CHECK(table(sample(), 60, true).find("\033[31m✗") != std::string::npos);
}

TEST_CASE("exit codes: a failure, the deadline, unknown, a warning when strict") {
  Report report;
  report.outcomes.resize(1);
  auto& outcome = report.outcomes[0];
  outcome.status = Status::ok;
  CHECK(report.exit() == Exit::ok);
  outcome.status = Status::warn;
  CHECK(report.exit() == Exit::ok);
  CHECK(report.exit(true) == Exit::failed);
  CHECK(nagios_exit(report) == Exit::failed);
  outcome.status = Status::unknown;
  CHECK(report.exit() == Exit::unknown);
  outcome.status = Status::fail;
  CHECK(report.exit() == Exit::unhealthy);
  report.ended_by = Exit::deadline;
  CHECK(report.exit() == Exit::unhealthy);
  outcome.cut = true;
  CHECK(report.exit() == Exit::deadline);
  report.ended_by = Exit::terminated;
  CHECK(report.exit() == Exit::terminated);
}

TEST_CASE("JSON says everything") {
  const auto json = to_json(sample(), false);
  CHECK(json["healthy"] == false);
  CHECK(json["exit"] == 2);
  CHECK(json["counts"]["fail"] == 1);
  CHECK(json["checks"][1]["stage"] == "connect");
  CHECK(json["checks"][1]["stages"]["dns"] == 0.001);
  CHECK(json["checks"][0]["tls"]["chain"][0]["not_after"] == "2027-01-15T08:00:00.000Z");
}

TEST_CASE("JUnit is escaped and counted") {
  const auto text = junit(sample());
  CHECK(text.find("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\"") != std::string::npos);
  CHECK(text.find("name=\"it's &quot;db&quot; &lt;1&gt;|=\"") != std::string::npos);
  CHECK(text.find("<failure type=\"connect\"") != std::string::npos);
  CHECK(text.find("<skipped message=") != std::string::npos);
}

TEST_CASE("Nagios: one line, performance data, nothing that breaks it") {
  const auto text = nagios(sample());
  const auto first = text.substr(0, text.find('\n'));
  CHECK(first ==
        "CRITICAL: 1 of 3 checks is well · 1 failed · 1 skipped | 'web time'=0.012s;;5;0 'web certificate days'=90;14:;0:");
  CHECK(std::count(text.begin(), text.end(), '|') == 1);
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK(nagios_exit(sample()) == Exit::unhealthy);
  auto report = sample();
  report.outcomes[1].metrics = {{"a=b", 1, "", {}, {}, {}, {}}};
  CHECK(nagios(report).find("'it''s \"db\" <1>__ a_b'=1") != std::string::npos);
}

TEST_CASE("Nagios: two checks never have one label, and each keeps its own whatever their order") {
  Report report;
  for (const auto* name : {"a=b", "a|b", "a_b"}) {
    Outcome outcome;
    outcome.name = name;
    outcome.status = Status::ok;
    outcome.metrics = {{"time", 1, "s", {}, {}, {}, {}}};
    report.outcomes.push_back(outcome);
  }
  CHECK(nagios(report) == "OK: all 3 checks are well | 'a_b #2 time'=1s 'a_b #3 time'=1s 'a_b time'=1s\n");
  report.outcomes[1].status = Status::fail;
  CHECK(nagios(report).find("| 'a_b #3 time'=1s 'a_b #2 time'=1s 'a_b time'=1s\n") != std::string::npos);
}

TEST_CASE("a warning is a failure for the CI server, too, when it is one for the exit code") {
  Report report;
  Outcome slow;
  slow.name = "site";
  slow.status = Status::warn;
  slow.stage = io::Stage::request;
  slow.message = "slow: 2.0 s";
  report.outcomes = {slow};
  CHECK(junit(report, true).find("failures=\"1\"") != std::string::npos);
  CHECK(junit(report, true).find("<failure type=\"request\" message=\"slow: 2.0 s\">") != std::string::npos);
  CHECK(github(report, true).starts_with("::error title="));
  CHECK(junit(report).find("failures=\"0\"") != std::string::npos);
  CHECK(junit(report).find("<failure") == std::string::npos);
  CHECK(github(report).starts_with("::warning title="));
}

TEST_CASE("Nagios: a run that could not begin is one line too") {
  CHECK(nagios(Failure{Exit::config, "there is nothing | to\ncheck", "list checks"}) == "UNKNOWN: there is nothing / to check (list checks)\n");
  CHECK(nagios(Failure{Exit::config, "no"}) == "UNKNOWN: no\n");
}

TEST_CASE("Prometheus text") {
  const auto text = prometheus(sample());
  CHECK(text.find("# TYPE codops_health_up gauge\n") != std::string::npos);
  CHECK(text.find("codops_health_up{check=\"web\",kind=\"http\",target=\"https://shop.test/health\"} 1\n") != std::string::npos);
  CHECK(text.find("check=\"it's \\\"db\\\" <1>|=\"") != std::string::npos);
  CHECK(text.find("of=\"leaf\"} 1800000000\n") != std::string::npos);
}

TEST_CASE("GitHub annotations can't be forged by an answer") {
  const auto text = github(sample());
  CHECK(text.find("::error title=health%3A it's \"db\" <1>|=::") == 0);
  CHECK(text.find("%0A::error ::injected | 50%25") != std::string::npos);
  CHECK(text.find("\n::error ::injected") == std::string::npos);
  CHECK(text.find("::warning title=health%3A orders::") != std::string::npos);
}

TEST_CASE("lines are cut by columns, not bytes, and colours cost none") {
  CHECK(fitted_lines("abcdef\nxy\n", 4) == "abcd\nxy\n");
  CHECK(fitted_lines("✓✓✓✓✓\n", 3) == "✓✓✓\n");
  CHECK(fitted_lines("\033[31m✗\033[0m abcdef\n", 4) == "\033[31m✗\033[0m ab\n");
}

TEST_CASE("what is higher than the terminal keeps its head and its summary") {
  CHECK(fitted_rows("1\n2\n3\n", 3) == "1\n2\n3\n");
  CHECK(fitted_rows("1\n2\n3\n4\n5\n", 4) == "1\n2\n  … and 2 more lines\n5\n");
  CHECK(fitted_rows("1\n2\n3\n4\n5\n", 0) == "1\n  … and 3 more lines\n5\n");
  CHECK(fitted_rows("", 5).empty());
}

TEST_CASE("what others said is made readable") {
  CHECK(readable("plain – ✓ 😀") == "plain – ✓ 😀");
  CHECK(readable("a\033[2Jb\nc\x7f") == "a [2Jb c ");
  CHECK(readable("\xff\xfe\xc0\xaf\xed\xa0\x80\xf5") == "????????");
  CHECK(readable("\xc2\x9b" "31m") == "??31m");
  CHECK(readable("cut \xe2\x9c") == "cut ??");
}
