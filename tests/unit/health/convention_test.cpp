#include "lib/health/convention.hpp"

#include <doctest/doctest.h>

#include "lib/health/from_settings.hpp"
#include "lib/settings/unset.hpp"

using namespace codops;
using namespace codops::health;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> names(const std::vector<Check>& checks) {
  std::vector<std::string> out;
  for (const auto& check : checks) out.push_back(check.name + " → " + target_of(check));
  return out;
}

settings::HealthCheck described(std::string kind, std::string target) {
  settings::HealthCheck check;
  check.name = "c";
  check.kind = std::move(kind);
  check.target = std::move(target);
  return check;
}

}  // namespace

TEST_CASE("checks by convention: paths of published services, ports that speak no HTTP, database and Redis") {
  ConventionFacts facts;
  facts.services = {{"backend", {{"127.0.0.1", 3000, 3000, "tcp"}}, ""},
                    {"frontend", {{"", 8443, 443, "tcp"}}, "/up"},
                    {"postgres", {{"", 5433, 5432, "tcp"}}, ""},
                    {"worker", {}, ""}};
  facts.database_url = "postgresql://shop:canary@db:5432/shop?schema=public";
  facts.redis_url = "redis://:canary@cache:6379/0";
  const auto found = conventional_checks(facts);
  CHECK(names(found.checks) == std::vector<std::string>{
                                   "backend /health → http://127.0.0.1:3000/health", "backend /ready → http://127.0.0.1:3000/ready",
                                   "backend /live → http://127.0.0.1:3000/live", "frontend /up → https://127.0.0.1:8443/up",
                                   "postgres port 5433 → 127.0.0.1:5433", "database → \"shop\" on db:5432", "redis → redis://cache:6379"});
  REQUIRE(found.alternatives.size() == 1);
  CHECK(found.alternatives[0].size() == 3);
}

TEST_CASE("containers come from the engine, when there is one to ask") {
  ConventionFacts facts;
  facts.services = {{"worker", {}, ""}};
  facts.containers = [](const Limits&) { return std::vector<target::Container>{}; };
  const auto found = conventional_checks(facts);
  REQUIRE(found.checks.size() == 1);
  CHECK(kind_of(found.checks[0]) == "container");
}

TEST_CASE("a path that a service does not offer is no failure beside one that it does") {
  Report report;
  for (const auto& [name, status] : {std::pair{"a /health", 200L}, {"a /ready", 404L}, {"a /live", 503L}, {"b /health", 404L}, {"b /ready", 404L}}) {
    Outcome outcome;
    outcome.name = name;
    outcome.http_status = status;
    outcome.status = status == 200 ? Status::ok : Status::fail;
    report.outcomes.push_back(outcome);
  }
  const auto kept = keep_offered(report, {{"a /health", "a /ready", "a /live"}, {"b /health", "b /ready"}});
  REQUIRE(kept.outcomes.size() == 3);
  CHECK(kept.outcomes[0].name == "a /health");
  CHECK(kept.outcomes[1].status == Status::fail);
  CHECK(kept.outcomes[2].name == "b /health");
  CHECK(kept.outcomes[2].status == Status::warn);
}

TEST_CASE("checks of codops.yaml") {
  settings::Health all;
  Wiring wiring;
  wiring.variable = [](const std::string& name) -> std::optional<std::string> {
    if (name == "DATABASE_URL") return "postgres://shop:canary@db/shop";
    return std::nullopt;
  };
  wiring.reach = [](const std::string& host, std::uint16_t port, io::Via& via) {
    if (host == "db") via = {"172.18.0.4", port, {}};
  };
  auto url = described("url", "https://shop.test/health");
  url.status = {200, 204};
  url.resolve = "10.0.0.7:8443";
  url.warn = "500ms";
  url.critical = "7d";
  url.retries = 2;
  url.needs = {"db"};
  const auto web = check_from(url, all, wiring);
  const auto& http = std::get<HttpCheck>(web.what);
  CHECK(http.expect_status.text() == "200,204");
  CHECK(http.request.via.host == "10.0.0.7");
  CHECK(http.request.redirects == io::HttpProbeRequest::Redirects::keep);
  CHECK(http.certificate.fail == 24h * 7);
  CHECK(web.warn_after == 500ms);
  CHECK(web.failures == 3);
  CHECK(web.after == std::vector<std::string>{"db"});

  auto database = described("postgres", "DATABASE_URL");
  database.warn = "80%";
  database.critical = "30s";
  const auto db = check_from(database, all, wiring);
  CHECK(std::get<PostgresCheck>(db.what).via.host == "172.18.0.4");
  CHECK(std::get<PostgresCheck>(db.what).warn_connections == 80);
  CHECK(std::get<PostgresCheck>(db.what).fail_lag == 30s);

  const auto cache = check_from(described("redis", "REDIS_URL"), all, wiring);
  CHECK(std::get<AskedCheck>(cache.what).ask({}).message == "the variable REDIS_URL is not set");
  auto disk = described("disk", "/");
  disk.warn = "a lot";
  CHECK_THROWS_WITH(check_from(disk, all, wiring), "the check \"c\": \"a lot\" is no limit");
  const auto workload = check_from(described("workload", "deployment/backend"), all, wiring);
  CHECK(std::get<AskedCheck>(workload.what).ask({}).status == Status::unknown);
}

TEST_CASE("limits of a check's answer: for every kind that has one, and none that means nothing") {
  const auto made = [](const std::string& kind, const std::string& target, const std::string& warn, const std::string& critical) {
    auto check = described(kind, target);
    if (kind == "command") check.command = {"true"};
    check.warn = warn;
    check.critical = critical;
    Wiring wiring;
    wiring.containers = [](const Limits&) { return std::vector<target::Container>{}; };
    wiring.backup_age = [](const Limits&) { return std::optional<Milliseconds>{10h}; };
    return check_from(check, {}, wiring);
  };
  for (const auto& [kind, target] : {std::pair{"url", "http://h/"}, {"tcp", "h:1"}, {"tls", "h:1"}, {"redis", "redis://h"}, {"command", ""}}) {
    CAPTURE(kind);
    const auto check = made(kind, target, "200ms", "500ms");
    CHECK(check.warn_after == 200ms);
    CHECK(check.timeout == 500ms);
  }
  CHECK(made("tcp", "h:1", "", "7s").timeout == 5s);
  CHECK(made("url", "https://h/", "", "30d").timeout == 5s);
  CHECK(std::get<AskedCheck>(made("backup_age", "48h", "", "8h").what).ask({}).status == Status::fail);
  CHECK(std::get<AskedCheck>(made("backup_age", "9h", "", "20h").what).ask({}).status == Status::warn);
  const auto refused = [&](const char* kind, const char* target, const char* limit) {
    CAPTURE(kind);
    CAPTURE(limit);
    try {
      made(kind, target, limit, "");
      FAIL_CHECK("was taken");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
    }
    CHECK_THROWS_AS(made(kind, target, "", limit), Failure);
  };
  for (const auto* limit : {"70", "0.7", "7d"}) refused("disk", "/", limit);
  for (const auto* limit : {"80%", "2GB", "7d"}) refused("tcp", "h:1", limit);
  for (const auto* limit : {"80%", "2GB", "7d"}) refused("command", "", limit);
  for (const auto* limit : {"80%", "2GB"}) refused("url", "https://h/", limit);
  for (const auto* limit : {"80%", "500ms"}) refused("container", "x", limit);
  refused("url", "http://h/", "14d");
  refused("redis", "redis://h", "2GB");
  refused("backup_age", "26h", "80%");
}

TEST_CASE("a check that wants a variable which is not set is unknown, with its name") {
  auto check = described("url", "http://h/");
  check.body = std::string{settings::unset_mark} + "MARKER";
  check.needs = {"db"};
  const auto made = check_from(check, {}, {});
  const auto finding = std::get<AskedCheck>(made.what).ask({});
  CHECK(finding.status == Status::unknown);
  CHECK(finding.message == "the variable MARKER is not set");
  CHECK(made.after == check.needs);
}

TEST_CASE("by convention an application's other database is left out, and the rest is checked") {
  for (const auto* url : {"mysql://u:p@h/shop", "file:./dev.db", "mongodb+srv://h/x", "sqlite:dev.db", "jdbc:mysql://h/x"}) {
    CAPTURE(url);
    ConventionFacts facts;
    facts.database_url = url;
    facts.redis_url = "redis://h";
    const auto found = conventional_checks(facts);
    REQUIRE(found.checks.size() == 1);
    CHECK(found.checks[0].name == "redis");
  }
}

TEST_CASE("a URL of a variable that can't be read is its own check's trouble") {
  ConventionFacts facts;
  facts.services = {{"web", {{"127.0.0.1", 3000, 3000, "tcp"}}, "/up"}};
  facts.database_url = "postgresql://shop:can@ry@db/shop";
  facts.database_name = "SHOP_URL";
  facts.redis_url = "redis://:canary@cache:port/0";
  const auto found = conventional_checks(facts);
  REQUIRE(found.checks.size() == 3);
  for (const auto i : {std::size_t{1}, std::size_t{2}}) {
    CAPTURE(i);
    const auto finding = std::get<AskedCheck>(found.checks[i].what).ask({});
    CHECK(finding.status == Status::unknown);
    CHECK(finding.message.find("can't be read") != std::string::npos);
    CHECK(finding.message.find("ry@db") == std::string::npos);
  }
  CHECK(std::get<AskedCheck>(found.checks[1].what).ask({}).message.find("SHOP_URL") == 0);
  facts.database_url = "postgresql+asyncpg://shop:canary@db/shop";
  CHECK(std::holds_alternative<PostgresCheck>(conventional_checks(facts).checks[1].what));

  Wiring wiring;
  wiring.variable = [](const std::string&) { return std::optional<std::string>{"redis://:canary@cache:port/0"}; };
  for (const auto& [kind, message] : {std::pair{"redis", "REDIS_URL: the Redis URL can't be read"}, {"postgres", "REDIS_URL is not a PostgreSQL URL: its scheme is \"redis\""}}) {
    auto check = described(kind, "REDIS_URL");
    check.needs = {"site"};
    const auto made = check_from(check, {}, wiring);
    const auto finding = std::get<AskedCheck>(made.what).ask({});
    CHECK(finding.status == Status::unknown);
    CHECK(finding.message == message);
    CHECK(made.after == check.needs);
  }
  // In codops.yaml itself it is a mistake of codops.yaml.
  CHECK_THROWS_AS(check_from(described("redis", "redis://cache:port/0"), {}, wiring), Failure);
}

TEST_CASE("checks are chosen by name, with what they need") {
  std::vector<Check> checks(3);
  checks[0].name = "db";
  checks[1].name = "api";
  checks[1].after = {"db"};
  checks[2].name = "web";
  CHECK(select(checks, {"api"}).size() == 2);
  CHECK(select(checks, {}).size() == 3);
  try {
    select(checks, {"weeb"});
    FAIL_CHECK("should throw");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::usage);
    CHECK(failure.hint() == "did you mean \"web\"?");
  }
}

TEST_CASE("services named as a connection would be") {
  ConventionFacts facts;
  facts.containers = [](const Limits&) { return std::vector<target::Container>{}; };
  facts.services = {{"redis", {}, ""}, {"database", {}, "", true}};
  facts.database_url = "postgresql://u:p@db/shop";
  facts.redis_url = "redis://:p@redis";
  std::vector<std::string> names;
  for (const auto& check : conventional_checks(facts).checks) names.push_back(check.name);
  CHECK(names == std::vector<std::string>{"redis", "database", "database SELECT 1", "redis PING"});
}

TEST_CASE("TLS of a published port is always verified") {
  ConventionFacts facts;
  facts.services = {{"nginx", {{"0.0.0.0", 8443, 443, "tcp"}}, ""}};
  for (const auto* name : {"", "shop.example.com"}) {
    facts.server_name = name;
    for (const auto& check : conventional_checks(facts).checks) {
      const auto& request = std::get<HttpCheck>(check.what).request;
      CHECK_FALSE(request.trust.insecure);
      CHECK(request.server_name == name);
    }
  }
}
