#include "lib/health/verdict.hpp"

#include <doctest/doctest.h>

#include "lib/health/capacity.hpp"

using namespace codops;
using namespace codops::health;
using namespace std::chrono_literals;

namespace {

Check named(std::string name, std::vector<std::string> after = {}) {
  Check check;
  check.name = std::move(name);
  check.after = std::move(after);
  check.what = TcpCheck{{"h", 1, {}}};
  return check;
}

io::HttpProbeResult answer(long status, std::string body = "", std::string type = "text/plain") {
  io::HttpProbeResult result;
  result.status = status;
  result.body_bytes = body.size();
  result.body = std::move(body);
  result.is_json = type.find("json") != std::string::npos;
  result.headers = {{"content-type", std::move(type)}};
  result.version = "1.1";
  return result;
}

}  // namespace

TEST_CASE("attempts are enough when so many in a row agree") {
  CHECK(decide({}, 1, 1) == Decision::more);
  CHECK(decide({true}, 1, 1) == Decision::well);
  CHECK(decide({false}, 1, 1) == Decision::failing);
  CHECK(decide({false}, 2, 1) == Decision::more);
  CHECK(decide({false, false}, 2, 1) == Decision::failing);
  CHECK(decide({false, true}, 2, 1) == Decision::well);
  CHECK(decide({true, true, false}, 2, 3) == Decision::more);
  CHECK(decide({true, false, true, true, true}, 2, 3) == Decision::well);
  CHECK(decide({true, false, true, false, true, false, true, false, true, false, true, false, true, false, true, false}, 2, 2) == Decision::flapping);
}

TEST_CASE("status codes as people write them") {
  const auto codes = *StatusCodes::parse("2xx,301,400-404");
  for (const long code : {200L, 299L, 301L, 400L, 404L}) CHECK(codes.contains(code));
  for (const long code : {199L, 300L, 302L, 405L, 500L}) CHECK_FALSE(codes.contains(code));
  CHECK(codes.text() == "200-299,301,400-404");
  for (const char* bad : {"", "abc", "99", "600", "300-200", "2x", "200-"}) {
    CAPTURE(bad);
    CHECK_FALSE(StatusCodes::parse(bad));
  }
}

TEST_CASE("a JSON path leads into objects and arrays") {
  const std::string body = R"({"checks":{"db":"ok","n":3,"deep":[{"x":true}]},"a.b":1})";
  CHECK(json_at(body, "$.checks.db") == "ok");
  CHECK(json_at(body, "checks.n") == "3");
  CHECK(json_at(body, "/checks/deep/0/x") == "true");
  CHECK(json_at(body, "$.checks.deep[0].x") == "true");
  CHECK(json_at(body, "$['a.b']") == "1");
  CHECK_FALSE(json_at(body, "$.checks.missing"));
  CHECK_FALSE(json_at(body, "$.checks.deep[7]"));
  CHECK_FALSE(json_at(body, "$.checks.db.x"));
  CHECK_THROWS_AS(json_at("{\"a\":", "a"), Failure);
  CHECK_THROWS_AS(json_at(std::string(100000, '['), "a"), Failure);
}

TEST_CASE("health+json: the aliases") {
  CHECK(json_status(R"({"status":"UP"})") == Status::ok);
  CHECK(json_status(R"({"status":"warn"})") == Status::warn);
  CHECK(json_status(R"({"status":"Down"})") == Status::fail);
  CHECK_FALSE(json_status(R"({"status":"shipped"})"));
  CHECK_FALSE(json_status(R"({"status":200})"));
  CHECK_FALSE(json_status("[1]"));
}

TEST_CASE("an HTTP answer: status, then body") {
  HttpCheck check;
  const WallTime now{};
  CHECK(judge_http(check, answer(204), now).status == Status::ok);
  CHECK(judge_http(check, answer(502), now).stage == io::Stage::status);
  CHECK(judge_http(check, answer(200, R"({"status":"fail"})", "application/json"), now).status == Status::fail);
  CHECK(judge_http(check, answer(200, R"({"status":"fail"})", "text/plain"), now).status == Status::ok);
  auto plain = answer(400, "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title>");
  plain.url = "http://shop.example.com:9443/";
  CHECK(judge_http(check, plain, now).hint.find("https://") != std::string::npos);
  plain.url = "https://shop.example.com:9443/";
  CHECK(judge_http(check, plain, now).hint.empty());
  check.expect_http2 = true;
  CHECK(judge_http(check, answer(200), now).message == "the answer is HTTP/1.1, not HTTP/2");
}

TEST_CASE("the first certificate of the verified chain to end counts") {
  io::TlsFacts facts;
  const WallTime now{std::chrono::hours{24 * 365}};
  facts.verified = true;
  facts.chain = {{"leaf", "mid", {}, now - 24h, now + 24h * 90}, {"mid", "root", {}, now - 24h, now + 24h * 10}};
  auto finding = judge_certificate({}, facts, now);
  CHECK(finding.status == Status::warn);
  CHECK(finding.message.find("the issuer \"mid\"") != std::string::npos);
  CHECK(finding.metrics[0].value == doctest::Approx(90));
  CHECK(finding.metrics[1].value == doctest::Approx(10));
  CHECK(judge_certificate({24h * 5, 24h * 2}, facts, now).status == Status::ok);
  CHECK(judge_certificate({24h * 30, 24h * 20}, facts, now).status == Status::fail);
  // `critical` alone counts too, though the built-in `warn` is less.
  CHECK(judge_certificate({24h * 5, 24h * 20}, facts, now).status == Status::fail);
  // --insecure: nobody asked whether it is good, but that it ends is worth a word.
  facts.verified = false;
  facts.chain[0].not_after = now - 24h;
  finding = judge_certificate({}, facts, now);
  CHECK(finding.status == Status::warn);
  CHECK(finding.message.find("the certificate \"leaf\" expired") == 0);
}

TEST_CASE("PostgreSQL: connections and lag have limits; missing statistics are no verdict") {
  PostgresCheck check;
  io::PostgresFacts facts;
  facts.connections = 90;
  facts.max_connections = 100;
  facts.lag = 40s;
  CHECK(judge_postgres(check, facts).status == Status::ok);
  check.warn_connections = 80;
  CHECK(judge_postgres(check, facts).status == Status::warn);
  check.fail_lag = 30s;
  const auto finding = judge_postgres(check, facts);
  CHECK(finding.status == Status::fail);
  CHECK(finding.message == "replication lags 40.0 s behind");
  CHECK(finding.metrics.size() == 2);
  facts.statistics_error = "permission denied";
  CHECK(judge_postgres(check, facts).status == Status::unknown);
}

TEST_CASE("PostgreSQL: a lag that has a limit and can't be seen is no lag of zero") {
  PostgresCheck check;
  io::PostgresFacts facts;
  facts.replica = false;
  CHECK(judge_postgres(check, facts).status == Status::ok);
  check.warn_lag = 1s;
  auto finding = judge_postgres(check, facts);
  CHECK(finding.status == Status::unknown);
  CHECK(finding.message == "no replica is connected: there is no lag to measure");
  facts.hidden_replicas = 1;
  finding = judge_postgres(check, facts);
  CHECK(finding.status == Status::unknown);
  CHECK(finding.hint.find("GRANT pg_monitor") == 0);
  facts.hidden_replicas = 0;
  facts.lag = 0s;
  CHECK(judge_postgres(check, facts).status == Status::ok);
  facts.replica = true;
  CHECK(judge_postgres(check, facts).status == Status::ok);
  facts.lost_primary = true;
  finding = judge_postgres(check, facts);
  CHECK(finding.status == Status::fail);
  CHECK(finding.message.find("the replica has lost its primary") == 0);
  CHECK(finding.metrics.size() == 1);
  check.warn_lag.reset();
  CHECK(judge_postgres(check, facts).status == Status::ok);
}

TEST_CASE("Redis: role, memory, a replica without its primary") {
  RedisCheck check;
  auto facts = io::read_redis_info("# Server\r\nredis_version:7.0.15\r\nrole:slave\r\nmaster_link_status:down\r\nused_memory:90\r\nmaxmemory:100\r\n");
  CHECK(facts.version == "7.0.15");
  CHECK(judge_redis(check, facts).message == "the replica has lost its primary");
  facts.replica_link_up = true;
  check.warn_memory = 80;
  CHECK(judge_redis(check, facts).status == Status::warn);
  check.expect_role = "master";
  CHECK(judge_redis(check, facts).status == Status::fail);
  facts.role.clear();
  CHECK(judge_redis(check, facts).status == Status::unknown);
}

TEST_CASE("Redis: a limit that can't be measured is not kept") {
  RedisCheck check;
  io::RedisFacts facts;
  facts.info_error = "NOPERM this user has no permissions to run the 'info' command";
  CHECK(judge_redis(check, facts).status == Status::ok);
  check.fail_memory = 95;
  check.target.user = "mon";
  auto finding = judge_redis(check, facts);
  CHECK(finding.status == Status::unknown);
  CHECK(finding.message.find("NOPERM") != std::string::npos);
  CHECK(finding.hint == "let the user ask for it: ACL SETUSER mon +info");
  check.measured = false;  // by convention
  CHECK(judge_redis(check, facts).status == Status::ok);
  facts = io::read_redis_info("role:master\r\nused_memory:90\r\nmaxmemory:0\r\n");
  CHECK(judge_redis(check, facts).status == Status::ok);
  check.measured = true;
  CHECK(judge_redis(check, facts).message == "Redis has no memory limit");
  CHECK(judge_redis(check, facts).status == Status::unknown);
  check.fail_memory.reset();
  check.warn_memory = 80;
  CHECK(judge_redis(check, facts).status == Status::warn);
}

TEST_CASE("Redis URLs") {
  const auto target = io::parse_redis_url("rediss://app:p%40ss@cache.test:6390/2");
  CHECK(target.tls);
  CHECK(target.user == "app");
  CHECK(target.password.reveal() == "p@ss");
  CHECK(target.tcp.port == 6390);
  CHECK(target.database == 2);
  CHECK(to_string(target) == "rediss://cache.test:6390/2");
  CHECK(io::parse_redis_url("cache").tcp.port == 6379);
  CHECK(io::parse_redis_url("redis://secret@h").password.reveal() == "secret");
  const auto local = io::parse_redis_url("unix:///run/redis.sock?db=3");
  CHECK(local.tcp.via.unix_socket == "/run/redis.sock");
  CHECK(local.database == 3);
  for (const char* bad : {"http://x", "redis://:canary@[::1", "redis://:canary@h:x", "redis://:canary@h/x"}) {
    CAPTURE(bad);
    try {
      io::parse_redis_url(bad);
      FAIL_CHECK("should not be read");
    } catch (const Failure& failure) {
      CHECK(failure.message().find("canary") == std::string::npos);
    }
  }
}

TEST_CASE("containers: state, then their own health check") {
  target::Container container;
  container.name = "shop-backend-1";
  container.state = target::RunState::running;
  CHECK(judge_container("backend", &container).status == Status::ok);
  container.health = target::HealthState::unhealthy;
  CHECK(judge_container("backend", &container).status == Status::fail);
  container.state = target::RunState::exited;
  CHECK(judge_container("backend", &container).message == "the container has stopped");
  CHECK(judge_container("backend", nullptr).message == "there is no container \"backend\"");
}

TEST_CASE("disk and workload") {
  CHECK(judge_disk("/", 100, 50, {}).status == Status::ok);
  CHECK(judge_disk("/", 100, 10, {}).status == Status::warn);
  CHECK(judge_disk("/", 100, 1, {}).status == Status::fail);
  CHECK(judge_disk("/", 0, 0, {}).status == Status::unknown);
  CHECK(judge_disk("/", 100, 50, {{}, {}, {}, 60}).status == Status::fail);
  CHECK(judge_workload({3, 3, 3, true, false, ""}).status == Status::ok);
  CHECK(judge_workload({3, 2, 3, true, false, "ImagePullBackOff"}).message == "2 of 3 replicas are ready: ImagePullBackOff");
  CHECK(judge_workload({3, 3, 1, true, false, ""}).status == Status::warn);
  CHECK(judge_workload({3, 3, 3, true, true, ""}).status == Status::fail);
  CHECK(judge_workload({0, 0, 0, false, false, ""}).status == Status::fail);
}

TEST_CASE("where an answer ends must have one reading") {
  using Headers = std::vector<std::pair<std::string, std::string>>;
  for (const auto& fine : {Headers{}, Headers{{"content-length", "5"}}, Headers{{"content-length", "5"}, {"content-length", "5"}}, Headers{{"content-length", "5, 5"}},
                           Headers{{"transfer-encoding", "chunked"}}, Headers{{"transfer-encoding", "identity"}, {"content-length", "5"}}}) {
    CHECK(io::framing_conflict(fine).empty());
  }
  CHECK(io::framing_conflict({{"content-length", "5"}, {"x", "y"}, {"content-length", "3"}}) == "the headers contradict each other: Content-Length is 5 and 3");
  CHECK(io::framing_conflict({{"content-length", "5,3"}}) == "the headers contradict each other: Content-Length is 5 and 3");
  for (const auto& both : {Headers{{"content-length", "5"}, {"transfer-encoding", "gzip, Chunked"}}, Headers{{"transfer-encoding", "chunked"}, {"content-length", "5"}}}) {
    CHECK(io::framing_conflict(both) == "the headers contradict each other: both Content-Length and Transfer-Encoding say where the body ends");
  }
}

TEST_CASE("an answer that misses a certificate of ours says so") {
  HttpCheck check;
  auto refused = answer(400);
  CHECK(judge_http(check, refused, {}).hint.empty());
  refused.tls = io::TlsFacts{};
  refused.tls->misses_certificate = true;
  CHECK(judge_http(check, refused, {}).hint.find("client certificate: --cert FILE") != std::string::npos);
}

TEST_CASE("zero checks, a name twice, circles and strangers are errors") {
  CHECK_THROWS_AS(check_order({}), Failure);
  CHECK_THROWS_WITH(check_order({named("a"), named("a")}), "two checks are named \"a\"");
  try {
    check_order({named("a", {"b"}), named("b", {"a"})});
    FAIL_CHECK("a circle was taken");
  } catch (const Failure& failure) {
    CHECK(failure.message() == "the check \"a\" waits for itself");
    CHECK(failure.hint() == "break the circle of \"needs\"");  // the key of codops.yaml
  }
  try {
    check_order({named("gateway"), named("api", {"gatway"})});
    FAIL_CHECK("should throw");
  } catch (const Failure& failure) {
    CHECK(failure.hint() == "did you mean \"gateway\"?");
  }
  CHECK_NOTHROW(check_order({named("a"), named("b", {"a"}), named("c", {"a", "b"})}));
}

TEST_CASE("files are shared out below the limit, and one always fits") {
  for (const std::size_t limit : {16UL, 64UL, 256UL, 1024UL, 1048576UL}) {
    CAPTURE(limit);
    const auto capacity = share_out(limit, 10);
    CHECK(capacity.files >= 1);
    CHECK(capacity.lookups >= 1);
    if (limit >= 64) CHECK(capacity.files + 3 * capacity.lookups + 10 < limit);
  }
  CHECK(share_out(8, 20).files == 1);
}

TEST_CASE("a URL is shown without its secrets") {
  CHECK(io::shown_url("https://u:p@h/x?token=t&page=2#f") == "https://u:***@h/x?token=***&page=2#f");
  CHECK(io::shown_url("https://ghp_secret@h/") == "https://***@h/");
  CHECK(io::shown_url("http://h/a?API_KEY=1;sig=2&q") == "http://h/a?API_KEY=***;sig=***&q");
  CHECK(io::shown_url("not a url") == "not a url");
}

TEST_CASE("host and port") {
  CHECK(io::parse_host_port("[::1]:80")->host == "::1");
  CHECK(io::parse_host_port("::1")->port == 0);
  CHECK(io::parse_host_port("h:5432")->port == 5432);
  for (const char* bad : {"", ":80", "h:", "h:0", "h:70000", "[::1", "h:x"}) {
    CAPTURE(bad);
    CHECK_FALSE(io::parse_host_port(bad));
  }
}

TEST_CASE("containers of a name: services and names, long ids only, and no set of a former release beside a running one") {
  const auto container = [](std::string id, std::string service, target::RunState state, std::string release) {
    target::Container out;
    out.name = service + "-" + id.substr(0, 2);
    out.id = std::move(id);
    out.service = std::move(service);
    out.state = state;
    if (!release.empty()) out.labels["codops.release"] = std::move(release);
    return out;
  };
  using target::RunState;
  std::vector<target::Container> all{container("db00000000000001", "cache", RunState::exited, ""), container("a100000000000001", "db", RunState::running, ""),
                                     container("b100000000000001", "web", RunState::exited, "1"), container("b200000000000001", "web", RunState::running, "2"),
                                     container("b300000000000001", "web", RunState::exited, "2")};
  const auto chosen = [&](const std::string& name) {
    std::string out;
    for (const auto* one : chosen_containers(all, name)) out += one->id.substr(0, 2) + " ";
    return out;
  };
  CHECK(chosen("db") == "a1 ");  // not the cache, whose id begins so
  CHECK(chosen("db0000000000") == "db ");
  CHECK(chosen("web") == "b2 b3 ");  // one of release 2 has died: that counts
  all[3].state = RunState::exited;
  CHECK(chosen("web") == "b1 b2 b3 ");
  CHECK(chosen("nothing").empty());
}
