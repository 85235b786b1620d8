#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/watch.hpp"
#include "tests/support/scripted_http.hpp"

using namespace codops;
using namespace codops::engine::docker;
using namespace std::chrono_literals;
using tests::ScriptedHttp;
using Then = ScriptedHttp::Answer::Then;

namespace {

const Limits generous{Deadline::after(Milliseconds{60'000}), {}};
const std::string pong = ScriptedHttp::ok("", "Api-Version: 1.41\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n");

Endpoint endpoint_of(const ScriptedHttp& server) { return parse_host("unix://" + server.path()); }

std::string chunked(const std::string& text) {
  char size[16];
  std::snprintf(size, sizeof size, "%zx", text.size());
  return std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"} + size + "\r\n" + text + "\r\n";
}

}  // namespace

TEST_CASE("docker client: the version is asked once and spoken ever after") {
  ScriptedHttp server{{{pong}, {ScriptedHttp::ok("[]")}, {ScriptedHttp::ok("[]")}}};
  Api api{endpoint_of(server)};
  api.containers({{"label", {"a=b"}}}, true, generous);
  api.images({}, generous);
  CHECK(server.requests().at(0).starts_with("HEAD /_ping "));
  CHECK(server.requests().at(1).starts_with("GET /v1.41/containers/json?filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D&all=1 "));
  CHECK(server.requests().at(2).starts_with("GET /v1.41/images/json "));
  CHECK(server.connections() == 1);
  CHECK(to_rfc3339(*api.client().engine_now()).starts_with("2026-11-23T12:00:0"));
}

TEST_CASE("docker client: versions") {
  CHECK(negotiated_api("1.41") == "1.41");
  CHECK(negotiated_api("1.99") == newest_api);
  CHECK(negotiated_api("1.40") == "1.40");
  CHECK_THROWS_AS(negotiated_api("1.39"), Failure);
  CHECK_THROWS_AS(negotiated_api("1.9"), Failure);
  CHECK_THROWS_AS(negotiated_api(""), Failure);
}

TEST_CASE("docker client: statuses are told apart, texts are the engine's") {
  ScriptedHttp server{{{pong},
                         {ScriptedHttp::status(500, R"({"message":"no space left on device"})")},
                         {ScriptedHttp::status(409, R"({"message":"Conflict.\n"})")},
                         {ScriptedHttp::status(404, R"({"message":"No such container"})")},
                         {ScriptedHttp::status(502, "<html>")},
                         {ScriptedHttp::ok("{\"Id\":")}}};
  Api api{endpoint_of(server)};
  const auto status_of = [&](auto action) {
    try {
      action();
    } catch (const ApiError& error) {
      return std::pair{error.status(), error.message()};
    }
    return std::pair{0, std::string{}};
  };
  CHECK(status_of([&] { api.start_container("x", generous); }) == std::pair{500, std::string{"the engine answered 500: no space left on device"}});
  CHECK(status_of([&] { api.create_container("x", nlohmann::json::object(), generous); }) == std::pair{409, std::string{"the engine answered 409: Conflict."}});
  CHECK(!api.find_container("x", generous));
  CHECK(status_of([&] { api.info(generous); }).first == 502);
  CHECK_THROWS_AS(api.inspect_container("x", generous), Failure);
}

TEST_CASE("docker client: no address left for a network says what makes room") {
  ScriptedHttp server{{{pong},
                       {ScriptedHttp::status(404, R"({"message":"could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"})")},
                       {ScriptedHttp::status(400, R"({"message":"all predefined address pools have been fully subnetted"})")},
                       {ScriptedHttp::status(403, R"({"message":"Pool overlaps with other one on this address space"})")}}};
  Api api{endpoint_of(server)};
  const auto hint_of = [&] {
    try {
      api.create_network(NetworkSpec{.name = "n"}, generous);
    } catch (const ApiError& error) {
      return error.hint();
    }
    return std::string{"none was thrown"};
  };
  CHECK(hint_of().find("docker network prune") != std::string::npos);
  CHECK(hint_of().find("default-address-pools") != std::string::npos);
  CHECK(hint_of().empty());
}

TEST_CASE("docker client: a container that somebody else removes is waited for") {
  const auto busy = ScriptedHttp::status(409, R"({"message":"removal of container x is already in progress"})");
  ScriptedHttp server{{{pong}, {busy}, {busy}, {ScriptedHttp::status(404, R"({"message":"No such container"})")}, {ScriptedHttp::status(409, R"({"message":"You cannot remove a running container"})")}}};
  Api api{endpoint_of(server)};
  CHECK_NOTHROW(api.remove_container("x", true, true, generous));
  CHECK(server.requests().size() == 4);
  CHECK_THROWS_AS(api.remove_container("x", false, true, generous), ApiError);

  ScriptedHttp never{{{pong}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}, {busy}}};
  Api other{endpoint_of(never)};
  CHECK_THROWS_AS(other.remove_container("x", true, true, {Deadline::after(Milliseconds{200}), {}}), Failure);
}

TEST_CASE("docker client: a container that dies while its restart policy is set gets it once it is dead") {
  const auto dying = ScriptedHttp::status(500, R"({"message":"Cannot update container 5093: cannot update a stopped container: unknown"})");
  ScriptedHttp server{{{pong}, {dying}, {dying}, {ScriptedHttp::status(200, R"({"Warnings":null})")}, {ScriptedHttp::status(500, R"({"message":"another"})")}}};
  Api api{endpoint_of(server)};
  CHECK_NOTHROW(api.set_restart_policy("x", "no", 0, generous));
  CHECK_THROWS_AS(api.set_restart_policy("x", "no", 0, generous), ApiError);
}

TEST_CASE("docker client: an engine that is not there says how to get it") {
  Api api{parse_host("unix:///nonexistent/docker.sock")};
  try {
    api.ping(generous);
    FAIL("expected a failure");
  } catch (const io::HttpFailure& failure) {
    CHECK(failure.code() == Exit::unavailable);
    CHECK(failure.message() == "the engine at unix:///nonexistent/docker.sock does not answer: No such file or directory");
    CHECK(!failure.hint().empty());
  }
}

TEST_CASE("docker client: an engine that hangs is given up at the deadline") {
  ScriptedHttp server{{{pong}, {"", Then::hang}}};
  Api api{endpoint_of(server)};
  const auto begin = std::chrono::steady_clock::now();
  try {
    api.containers({}, true, generous.within(100ms));
    FAIL("expected the deadline");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::deadline);
  }
  CHECK(std::chrono::steady_clock::now() - begin < 500ms);
}

TEST_CASE("docker client: a pull reports layers, and errors that come after the 200") {
  ScriptedHttp server{{{pong},
                         {ScriptedHttp::ok("{\"status\":\"Downloading\",\"id\":\"a1\",\"progressDetail\":{\"current\":5,\"total\":9}}\r\n"
                                             "{\"status\":\"Pull complete\",\"id\":\"a1\",\"progressDetail\":{}}")},
                         {ScriptedHttp::ok("{\"status\":\"Downloading\"}\n{\"errorDetail\":{\"message\":\"toomanyrequests\"},\"error\":\"toomanyrequests\"}\n")},
                         {ScriptedHttp::ok("{\"status\":\"Downloading\"}\n{\"status\":\"Pull com")}}};
  Api api{endpoint_of(server)};
  const auto image = parse_image_name("ghcr.io/shop/backend:v1");
  std::vector<PullProgress> seen;
  api.pull_image(image, "linux/amd64", [&](const PullProgress& progress) { seen.push_back(progress); }, generous);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].layer == "a1");
  CHECK(seen[0].total == 9);
  CHECK(seen[1].status == "Pull complete");
  CHECK(server.requests().at(1).starts_with("POST /v1.41/images/create?fromImage=ghcr.io%2Fshop%2Fbackend&tag=v1&platform=linux%2Famd64 "));
  CHECK(server.requests().at(1).find("X-Registry-Auth: e30=\r\n") != std::string::npos);
  CHECK_THROWS_WITH_AS(api.pull_image(image, {}, {}, generous), "toomanyrequests", ApiError);
  CHECK_THROWS_AS(api.pull_image(image, {}, {}, generous), Failure);
}

TEST_CASE("docker client: events in pieces, and half a line at the end") {
  const std::string die = R"({"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":{"exitCode":"3"}},"timeNano":5})";
  ScriptedHttp server{{{pong}, {chunked(die + "\n" + die.substr(0, 20)) + "0\r\n\r\n"}, {chunked("not json\n"), Then::hang}}};
  Api api{endpoint_of(server)};
  auto stream = api.events({}, std::nullopt, generous);
  const auto event = stream->next(generous);
  REQUIRE(event);
  CHECK(event->action == "die");
  CHECK(event->id == "c1");
  CHECK(event->attributes.at("exitCode") == "3");
  CHECK(!stream->next(generous));
  stream = api.events({}, std::nullopt, generous);
  CHECK_THROWS_AS(stream->next(generous), Failure);
}

TEST_CASE("docker client: a watch outlives a lost event stream") {
  const auto inspect = [](const std::string& state) {
    return ScriptedHttp::ok(R"({"Id":"c1","Name":"/c","State":{"Status":")" + state + R"(","ExitCode":4}})");
  };
  ScriptedHttp server{{{pong}, {pong}, {chunked(""), Then::close}, {inspect("running")}, {pong}, {chunked(""), Then::hang}, {inspect("exited")}}};
  Api api{endpoint_of(server)};
  ContainerWatch watch{api, {"c1"}, generous};
  CHECK(watch.next(generous).at(0).details.state == RunState::running);
  const auto changed = watch.next(generous);
  CHECK(changed.at(0).details.state == RunState::exited);
  CHECK(changed.at(0).details.exit_code == 4);
}
