#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/exec.hpp"
#include "lib/engine/kubernetes/watch.hpp"
#include "lib/io/files.hpp"
#include "tests/support/scripted_http.hpp"

using namespace codops;
using namespace codops::engine;
using namespace codops::engine::kubernetes;
using namespace std::chrono_literals;
using nlohmann::json;
using tests::ScriptedHttp;
using Then = ScriptedHttp::Answer::Then;
using What = WatchEvent::What;

namespace {

const Limits half_a_minute() { return {Deadline::after(Milliseconds{30'000}), {}}; }

Connection connection_to(const ScriptedHttp& server) {
  Connection connection;
  connection.server.url = "http://localhost";
  connection.server.unix_socket = server.path();
  connection.server.name = "the API server";
  connection.namespace_ = "shop";
  connection.user = "u";
  connection.origin = "test";
  return connection;
}

std::string refusal(int code, const std::string& reason, const std::string& headers = {}) {
  const auto body = json{{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", reason + "!"}}.dump();
  return "HTTP/1.1 " + std::to_string(code) + " X\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

json config_map(const std::string& name, const std::string& version) {
  return {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}, {"namespace", "shop"}, {"uid", "uid-" + name}, {"resourceVersion", version}}}};
}
std::string page(const std::vector<json>& items, const std::string& version, const std::string& next = {}) {
  return ScriptedHttp::ok(json{{"kind", "ConfigMapList"}, {"metadata", {{"resourceVersion", version}, {"continue", next}}}, {"items", items}}.dump());
}
std::string event(const std::string& type, const json& object) { return json{{"type", type}, {"object", object}}.dump() + "\n"; }
// A body that ends with the connection.
std::string endless(const std::string& body) { return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body; }
std::string cut_short(const std::string& body) { return "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body; }

const ObjectRef one{"v1", "ConfigMap", "shop", "one"};

template <typename Action>
ApiError refused(Action action) {
  try {
    action();
  } catch (const ApiError& error) {
    return error;
  }
  FAIL("accepted");
  throw 0;
}

}  // namespace

TEST_CASE("kubernetes client: Retry-After is obeyed, for writes too, and not beyond the call's time") {
  ScriptedHttp server{{{refusal(429, "TooManyRequests", "Retry-After: 0\r\n")},
                       {refusal(503, "ServiceUnavailable", "Retry-After: 0\r\n")},
                       {ScriptedHttp::ok(config_map("one", "1").dump())},
                       {refusal(429, "TooManyRequests", "Retry-After: 3600\r\n")},
                       {refusal(500, "InternalError")}}};
  Api api{connection_to(server)};
  CHECK(text_at(api.create(config_map("one", "1"), half_a_minute()), {"metadata", "name"}) == "one");
  CHECK(server.requests().size() == 3);
  const auto late = refused([&] { api.get(one, half_a_minute()); });
  CHECK(late.status() == 429);
  CHECK(late.message() == "get ConfigMap shop/one: TooManyRequests!");
  CHECK(refused([&] { api.get(one, half_a_minute()); }).status() == 500);
  CHECK(server.requests().size() == 5);
}

TEST_CASE("kubernetes client: an outage is sat out by what may be repeated, for as long as was agreed") {
  SUBCASE("reads and applies go on") {
    ScriptedHttp server{{{"", Then::close}, {"HTTP/1.1 200 OK\r\nContent-Le", Then::close}, {refusal(503, "x")}, {ScriptedHttp::ok("{}")},
                         {cut_short("{"), Then::close}, {ScriptedHttp::ok(config_map("one", "1").dump())}}};
    Api api{connection_to(server), {.outage = 10s}};
    api.get(one, half_a_minute());
    api.apply(config_map("one", "1"), {}, half_a_minute());
    CHECK(server.requests().size() == 6);
    CHECK(server.requests().back().starts_with("PATCH /api/v1/namespaces/shop/configmaps/one?fieldManager=codops&force=false&fieldValidation=Strict "));
  }
  SUBCASE("a create is sent once") {
    ScriptedHttp server{{{"", Then::close}, {ScriptedHttp::ok("{}")}}};
    Api api{connection_to(server), {.outage = 10s}};
    CHECK_THROWS_AS(api.create(config_map("one", "1"), half_a_minute()), io::HttpFailure);
    CHECK(server.requests().size() == 1);
  }
  SUBCASE("without one, the first failure is the last") {
    ScriptedHttp server{{{"", Then::close}, {ScriptedHttp::ok("{}")}}};
    Api api{connection_to(server)};
    CHECK_THROWS_AS(api.get(one, half_a_minute()), io::HttpFailure);
  }
  SUBCASE("one that stands still is asked again") {
    ScriptedHttp server{{{"", Then::hang}, {ScriptedHttp::ok("{}")}}};
    Api api{connection_to(server), {.patience = 200ms, .outage = 10s}};
    api.get(one, half_a_minute());
    CHECK(server.requests().size() == 2);
  }
  SUBCASE("one that has just come back does not know its roles yet") {
    ScriptedHttp server{{{"", Then::close}, {refusal(403, "x")}, {ScriptedHttp::ok("{}")}}};
    Api api{connection_to(server), {.outage = 10s}};
    api.get(one, half_a_minute());
    CHECK(server.requests().size() == 3);
  }
  SUBCASE("one that never went away does") {
    ScriptedHttp server{{{refusal(403, "x")}, {ScriptedHttp::ok("{}")}}};
    Api api{connection_to(server), {.outage = 10s}};
    CHECK(refused([&] { api.get(one, half_a_minute()); }).status() == 403);
  }
  SUBCASE("a server that is silent") {
    ScriptedHttp server{{{"", Then::hang}}};
    Api api{connection_to(server), {.patience = 200ms}};
    try {
      api.get(one, half_a_minute());
      FAIL("no answer");
    } catch (const io::HttpFailure& failure) {
      CHECK(failure.kind() == io::HttpFailure::Kind::timeout);
    }
  }
}

TEST_CASE("kubernetes client: refusals become failures with causes and hints") {
  const json conflict{{"kind", "Status"}, {"code", 409}, {"reason", "Conflict"}, {"message", "one long line"},
                      {"details", {{"causes", {{{"reason", "FieldManagerConflict"}, {"field", ".spec.replicas"}, {"message", "conflict with \"hpa\""}},
                                               {{"reason", "FieldManagerConflict"}, {"field", ".data.x"}, {"message", "conflict with \"other\""}}}}}}};
  ScriptedHttp server{{{ScriptedHttp::status(409, conflict.dump())}, {ScriptedHttp::status(502, "<html>\nBad")}, {ScriptedHttp::status(200, "<html>")}, {ScriptedHttp::status(404, "404 page not found\n")}}};
  Api api{connection_to(server)};
  const auto error = refused([&] { api.apply(config_map("one", "1"), {}, half_a_minute()); });
  CHECK(error.field_conflict());
  CHECK(error.message() == "apply ConfigMap shop/one: fields belong to others:\n  .spec.replicas  conflict with \"hpa\"\n  .data.x  conflict with \"other\"");
  CHECK(refused([&] { api.get(one, half_a_minute()); }).message() == "get ConfigMap shop/one: the API server answered 502: <html>");
  CHECK_THROWS_AS(api.get(one, half_a_minute()), Failure);
  CHECK(refused([&] { api.get(one, half_a_minute()); }).hint().find("CustomResourceDefinition") != std::string::npos);
}

TEST_CASE("kubernetes client: a log is read until it has ended, which is later than its container") {
  const auto pod = [](const char* state) {
    return ScriptedHttp::ok(json{{"status", {{"containerStatuses", {{{"name", "c"}, {"restartCount", 0}, {"state", {{state, json::object()}}}}}}}}}.dump());
  };
  const std::string a = "2026-11-26T10:00:00.1Z a\n", b = "2026-11-26T10:00:00.2Z b\n", c = "2026-11-26T10:00:00.3Z c";
  ScriptedHttp server{{{pod("running")}, {ScriptedHttp::ok(a)}, {pod("terminated")}, {ScriptedHttp::ok(a + "2026-11-26T10:00:00.2")}, {ScriptedHttp::ok(a + b + c)}, {ScriptedHttp::ok(a + b + c)}}};
  Api api{connection_to(server)};
  std::string told;
  api.follow_lines("shop", "p", "c", [&told](std::string_view line, bool ended) { told += std::string{line} + (ended ? "|" : "!"); }, half_a_minute());
  CHECK(told == "a|b|c!");
  CHECK(server.requests().size() == 6);
  CHECK(server.requests()[1].find("follow=true") != std::string::npos);
  CHECK(server.requests()[3].find("sinceTime=2026-11-26T10%3A00%3A00") != std::string::npos);
}

TEST_CASE("kubernetes client: attached to a container there is its input alone") {
  ScriptedHttp server{{{refusal(403, "Forbidden")}}};
  Api api{connection_to(server)};
  const auto error = refused([&] { ExecSession{api, {.namespace_ = "shop", .pod = "p", .container = "c", .argv = {}, .attach = true}, true, half_a_minute()}; });
  CHECK(error.message().starts_with("give input to Pod shop/p: "));
  CHECK(server.requests().at(0).starts_with("GET /api/v1/namespaces/shop/pods/p/attach?container=c&stdin=true&stdout=false&stderr=false&tty=false "));
}

TEST_CASE("kubernetes client: credentials are renewed after 401, once") {
  io::TemporaryFolder folder;
  const auto token = folder.path() / "token";
  const auto write = [&](const std::string& text) { std::ofstream{token} << text; };
  SUBCASE("a token file that was rotated") {
    ScriptedHttp server{{{ScriptedHttp::ok("{}")}, {refusal(401, "Unauthorized")}, {ScriptedHttp::ok("{}")}, {refusal(401, "Unauthorized")}}};
    auto connection = connection_to(server);
    connection.credentials.token_file = token.string();
    write("first\n");
    Api api{connection};
    api.get(one, half_a_minute());
    write("second\n");
    api.get(one, half_a_minute());
    CHECK(server.requests().at(0).find("Authorization: Bearer first\r\n") != std::string::npos);
    CHECK(server.requests().at(1).find("Authorization: Bearer first\r\n") != std::string::npos);
    CHECK(server.requests().at(2).find("Authorization: Bearer second\r\n") != std::string::npos);
    const auto error = refused([&] { api.get(one, half_a_minute()); });
    CHECK(error.status() == 401);
    CHECK(error.hint() == "the credentials of user \"u\" in test were refused: log in again, or renew them");
    CHECK(server.requests().size() == 4);
  }
  SUBCASE("a plugin is asked once, again after a refusal, and again when its credential has expired") {
    ScriptedHttp server{{{ScriptedHttp::ok("{}")}, {ScriptedHttp::ok("{}")}, {refusal(401, "Unauthorized")}, {ScriptedHttp::ok("{}")}, {ScriptedHttp::ok("{}")}}};
    auto connection = connection_to(server);
    const auto count = (folder.path() / "count").string(), expiry = (folder.path() / "expiry").string();
    std::ofstream{expiry} << "2100-01-01T00:00:00Z";
    const std::string script = "echo x >>" + count + "; n=$(wc -l <" + count + "); printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"%s-%s\",\"expirationTimestamp\":\"%s\"}}' \"$WORD\" $n \"$(cat " + expiry + ")\"";
    connection.credentials.exec = ExecPlugin{.api_version = "client.authentication.k8s.io/v1", .command = "/bin/sh", .args = {"-c", script}, .env = {{"WORD", Secret{"t"}}}};
    Api api{connection};
    api.get(one, half_a_minute());
    api.get(one, half_a_minute());
    std::ofstream{expiry} << "2000-01-01T00:00:00Z";
    api.get(one, half_a_minute());  // refused, asked, accepted
    api.get(one, half_a_minute());  // what it gave had expired
    const auto requests = server.requests();
    CHECK(requests.at(0).find("Bearer t-1\r\n") != std::string::npos);
    CHECK(requests.at(1).find("Bearer t-1\r\n") != std::string::npos);
    CHECK(requests.at(3).find("Bearer t-2\r\n") != std::string::npos);
    CHECK(requests.at(4).find("Bearer t-3\r\n") != std::string::npos);
  }
  SUBCASE("a plugin that fails says so") {
    ScriptedHttp server{{}};
    auto connection = connection_to(server);
    connection.credentials.exec = ExecPlugin{.api_version = "client.authentication.k8s.io/v1", .command = "/bin/sh", .args = {"-c", "echo no network >&2; exit 3"}, .install_hint = "get it there"};
    try {
      Api{connection}.get(one, half_a_minute());
      FAIL("no credentials");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      CHECK(failure.message().find("exited with 3: no network") != std::string::npos);
      CHECK(failure.hint() == "get it there");
    }
  }
  SUBCASE("never without TLS") {
    Connection plain;
    plain.server.url = "http://example.com";
    plain.credentials.token = Secret{"t0p"};
    const SystemClock clock;
    CHECK(Authenticator{plain, clock}.proof({}).headers.empty());
  }
}

TEST_CASE("kubernetes client: what a plugin must print") {
  const auto v1 = "client.authentication.k8s.io/v1";
  CHECK_THROWS_AS(parse_exec_credential("", v1), Failure);
  CHECK_THROWS_AS(parse_exec_credential(R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"x"}})", v1), Failure);
  CHECK_THROWS_AS(parse_exec_credential(R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"clientCertificateData":"x"}})", v1), Failure);
  CHECK_THROWS_AS(parse_exec_credential(R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}})", v1), Failure);
  const auto both = parse_exec_credential(R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t","clientCertificateData":"c","clientKeyData":"k"}})", v1);
  CHECK(both.token.reveal() == "t");
  CHECK(both.key_pem.reveal() == "k");
  CHECK(!both.expires);
}

TEST_CASE("kubernetes list: pages, and a snapshot that is no more") {
  ScriptedHttp server{{{page({config_map("a", "1"), config_map("b", "1")}, "10", "next page")},
                       {refusal(410, "Expired")},
                       {page({config_map("a", "1"), config_map("b", "2")}, "20", "p2")},
                       {page({config_map("c", "1")}, "20")},
                       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"ite"}}};
  Api api{connection_to(server)};
  const auto found = api.list("v1", "ConfigMap", "shop", {.labels = "a=b,c!=d"}, half_a_minute());
  REQUIRE(found.size() == 3);
  CHECK(text_at(found[1], {"metadata", "resourceVersion"}) == "2");
  CHECK(server.requests().at(0).starts_with("GET /api/v1/namespaces/shop/configmaps?limit=250&labelSelector=a%3Db%2Cc%21%3Dd "));
  CHECK(server.requests().at(1).find("&continue=next%20page ") != std::string::npos);
  CHECK(server.requests().at(2).find("continue") == std::string::npos);
  CHECK_THROWS_AS(api.list("v1", "ConfigMap", "shop", {}, half_a_minute()), Failure);
}

TEST_CASE("kubernetes watch: half lines, resets, bookmarks, ends and 410 lose nothing and repeat nothing") {
  const auto half = event("MODIFIED", config_map("a", "9"));
  ScriptedHttp server{{
      {page({config_map("a", "1"), config_map("b", "2")}, "2")},
      // Half an event, then a reset: the next watch goes on from the last whole one.
      {cut_short(event("MODIFIED", config_map("a", "3")) + half.substr(0, half.size() / 2)), Then::close},
      {"", Then::close},
      // A bookmark moves the place; a clean end resumes there.
      {endless(event("ADDED", config_map("c", "5")) + event("BOOKMARK", {{"kind", "ConfigMap"}, {"metadata", {{"resourceVersion", "77"}}}})), Then::close},
      {refusal(500, "InternalError")},
      // Too old: listed again; b is gone, c unchanged, a new one is there.
      {endless(event("ERROR", {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}})), Then::close},
      {page({config_map("a", "3"), config_map("c", "5"), config_map("d", "90")}, "90")},
      {refusal(410, "Expired")},
      {page({config_map("a", "3"), config_map("c", "5"), config_map("d", "91")}, "91")},
      {"HTTP/1.1 200 OK\r\n\r\nthis is no JSON\n", Then::close},
      {endless(event("DELETED", config_map("c", "95"))), Then::hang},
  }};
  Api api{connection_to(server)};
  Watch watch{api, {{"v1", "ConfigMap", "shop", {}}}};
  const auto limits = half_a_minute();
  const auto next = [&] {
    const auto told = watch.next(limits);
    constexpr std::string_view signs = "+~-=";
    return std::string{signs[static_cast<std::size_t>(told.what)]} + (told.object ? text_at(*told.object, {"metadata", "name"}) + text_at(*told.object, {"metadata", "resourceVersion"}) : "");
  };
  CHECK(next() == "+a1");
  CHECK(next() == "+b2");
  CHECK(next() == "=");
  CHECK(next() == "~a3");
  CHECK(next() == "+c5");
  // After a relist only what differs is told; what is no more has no resourceVersion.
  CHECK(next() == "+d90");
  CHECK(next() == "-b");
  CHECK(next() == "~d91");
  CHECK(next() == "-c95");
  const auto requests = server.requests();
  CHECK(requests.at(1).find("&resourceVersion=2&allowWatchBookmarks=true&timeoutSeconds=") != std::string::npos);
  CHECK(requests.at(2).find("resourceVersion=3&") != std::string::npos);
  CHECK(requests.at(3).find("resourceVersion=3&") != std::string::npos);
  CHECK(requests.at(4).find("resourceVersion=77&") != std::string::npos);
  CHECK(requests.at(5).find("resourceVersion=77&") != std::string::npos);
  CHECK(requests.at(7).find("resourceVersion=90&") != std::string::npos);
}

TEST_CASE("kubernetes watch: silence is noticed, an outage ends it") {
  SUBCASE("silence") {
    ScriptedHttp server{{{page({}, "1")}, {endless(""), Then::hang}, {endless(event("ADDED", config_map("a", "2"))), Then::hang}}};
    Api api{connection_to(server)};
    Watch watch{api, {{"v1", "ConfigMap", "shop", {}}}, {.silence = 200ms}};
    CHECK(watch.next(half_a_minute()).what == What::synced);
    CHECK(watch.next(half_a_minute()).what == What::added);
  }
  SUBCASE("outage") {
    ScriptedHttp server{{{page({}, "1")}}};
    Api api{connection_to(server)};
    Watch watch{api, {{"v1", "ConfigMap", "shop", {}}}, {.outage = 300ms}};
    CHECK(watch.next(half_a_minute()).what == What::synced);
    CHECK_THROWS_AS(watch.next(half_a_minute()), io::HttpFailure);
    CHECK_THROWS_AS(watch.next(half_a_minute()), io::HttpFailure);
  }
}

TEST_CASE("kubernetes client: Retry-After as seconds and as a date") {
  CHECK(parse_retry_after("7", {}) == 7s);
  CHECK(parse_retry_after(" 0", {}) == 0s);
  CHECK(!parse_retry_after("", {}));
  CHECK(!parse_retry_after("soon", {}));
  const auto now = parse_http_date("Mon, 23 Nov 2026 12:00:00 GMT");
  CHECK(parse_retry_after("Mon, 23 Nov 2026 12:00:09 GMT", now) == 9s);
  CHECK(parse_retry_after("Mon, 23 Nov 2026 11:00:00 GMT", now) == 0s);
  CHECK(!parse_retry_after("Mon, 23 Nov 2026 12:00:09 GMT", {}));
}
