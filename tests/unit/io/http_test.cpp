#include "lib/io/http.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "tests/support/scripted_http.hpp"

using namespace codops;
using namespace std::chrono_literals;
using tests::ScriptedHttp;
using Then = ScriptedHttp::Answer::Then;
using Kind = io::HttpFailure::Kind;

namespace {

io::HttpServer server_at(const ScriptedHttp& server) { return {.url = "http://localhost", .unix_socket = server.path(), .name = "it"}; }
const Limits generous{Deadline::after(Milliseconds{60'000}), {}};

template <typename Action>
Kind failure_kind(Action action) {
  try {
    action();
  } catch (const io::HttpFailure& failure) {
    CHECK(failure.code() == Exit::unavailable);
    return failure.kind();
  }
  FAIL("expected a failure");
  return Kind::protocol;
}

template <typename Action>
Milliseconds time_of(Action action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin);
}

}  // namespace

TEST_CASE("http: one connection serves request after request") {
  ScriptedHttp server{{{ScriptedHttp::ok("one", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")}, {ScriptedHttp::status(404, "no")}, {ScriptedHttp::ok("three")}}};
  io::HttpClient client{server_at(server)};
  const auto first = client.send({.target = "/a?b=c"}, generous);
  CHECK(first.status == 200);
  CHECK(first.body == "one");
  CHECK(first.header("date") == "Sun, 06 Nov 1994 08:49:37 GMT");
  std::string sunk;
  const auto second = client.send({.method = "DELETE", .target = "/x", .download = [&](std::string_view bytes) { sunk += bytes; }}, generous);
  CHECK(second.status == 404);
  CHECK(second.body == "no");
  CHECK(sunk.empty());
  const auto third = client.send({.method = "POST", .target = "/y", .headers = {{"Content-Type", "application/json"}}, .body = "{}",
                                  .download = [&](std::string_view bytes) { sunk += bytes; }}, generous);
  CHECK(third.body.empty());
  CHECK(sunk == "three");
  CHECK(server.connections() == 1);
  const auto requests = server.requests();
  CHECK(requests.at(0).starts_with("GET /a?b=c HTTP/1.1\r\n"));
  CHECK(requests.at(1).starts_with("DELETE /x "));
  CHECK(requests.at(2).ends_with("\r\n\r\n{}"));
  CHECK(requests.at(2).find("Expect") == std::string::npos);
}

TEST_CASE("http: a connection that died while idle is replaced, for what may be repeated") {
  ScriptedHttp server{{{ScriptedHttp::ok("one"), Then::close}, {ScriptedHttp::ok("two")}}};
  io::HttpClient client{server_at(server)};
  CHECK(client.send({}, generous).body == "one");
  CHECK(client.send({}, generous).body == "two");
  CHECK(server.connections() == 2);
}

TEST_CASE("http: halves of answers are failures") {
  SUBCASE("nothing") {
    ScriptedHttp server{{{"", Then::close}}};
    io::HttpClient client{server_at(server)};
    CHECK(failure_kind([&] { client.send({.method = "POST"}, generous); }) == Kind::reset);
  }
  SUBCASE("half a head") {
    ScriptedHttp server{{{"HTTP/1.1 200 OK\r\nConte", Then::close}}};
    io::HttpClient client{server_at(server)};
    CHECK_THROWS_AS(client.send({.method = "POST"}, generous), io::HttpFailure);
  }
  SUBCASE("half a body") {
    ScriptedHttp server{{{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Then::close}}};
    io::HttpClient client{server_at(server)};
    CHECK(failure_kind([&] { client.send({}, generous); }) == Kind::reset);
    CHECK(server.connections() == 1);
  }
  SUBCASE("half a chunk") {
    ScriptedHttp server{{{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf", Then::close}}};
    io::HttpClient client{server_at(server)};
    CHECK_THROWS_AS(client.send({}, generous), io::HttpFailure);
  }
  SUBCASE("not HTTP at all") {
    ScriptedHttp server{{{"SSH-2.0-OpenSSH\r\n\r\n", Then::close}}};
    io::HttpClient client{server_at(server)};
    CHECK_THROWS_AS(client.send({}, generous), io::HttpFailure);
  }
}

TEST_CASE("http: deadlines, silence and cancellation are exact") {
  ScriptedHttp server{{{"", Then::hang}, {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Then::hang}}};
  io::HttpClient client{server_at(server)};
  constexpr auto at_once = 500ms;  // far from `generous`, and what a busy machine may take to wake a thread
  SUBCASE("the request's own time") {
    Kind kind{};
    const auto took = time_of([&] { kind = failure_kind([&] { client.send({.timeout = 100ms}, generous); }); });
    CHECK(kind == Kind::timeout);
    CHECK(took >= 100ms);
    CHECK(took < at_once);
  }
  SUBCASE("the caller's deadline") {
    const auto took = time_of([&] {
      try {
        client.send({}, generous.within(100ms));
        FAIL("expected the deadline");
      } catch (const Failure& failure) {
        CHECK(failure.code() == Exit::deadline);
      }
    });
    CHECK(took >= 100ms);
    CHECK(took < at_once);
  }
  SUBCASE("silence in the middle") {
    CHECK_THROWS_AS(client.send({.timeout = 20ms}, generous), io::HttpFailure);
    const auto took = time_of([&] { CHECK(failure_kind([&] { client.send({.timeout = 0ms, .inactivity = 80ms}, generous); }) == Kind::timeout); });
    CHECK(took < at_once);
  }
  SUBCASE("cancellation") {
    CancelSource source;
    std::chrono::steady_clock::time_point cancelled;
    std::jthread other{[&] {
      Limits{}.within(50ms).wait(-1, 0);
      cancelled = std::chrono::steady_clock::now();
      source.cancel(Exit::interrupted);
    }};
    try {
      client.send({}, Limits{Deadline::never(), source.token()});
      FAIL("expected the cancellation");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::interrupted);
      CHECK(std::chrono::steady_clock::now() - cancelled < at_once);
    }
  }
}

TEST_CASE("http: connecting fails with the system's reason") {
  io::HttpClient nobody{{.url = "http://localhost", .unix_socket = "/nonexistent/socket"}};
  try {
    nobody.send({}, generous);
    FAIL("expected a failure");
  } catch (const io::HttpFailure& failure) {
    CHECK(failure.kind() == Kind::connect);
    CHECK(failure.os_error() == ENOENT);
    CHECK(failure.message() == "/nonexistent/socket does not answer: No such file or directory");
  }
  io::HttpClient closed{{.url = "http://127.0.0.1:1"}};
  CHECK(failure_kind([&] { closed.send({}, generous); }) == Kind::connect);
  io::HttpClient long_path{{.url = "http://localhost", .unix_socket = std::string(108, 'x')}};
  CHECK_THROWS_AS(long_path.send({}, generous), Failure);
}

TEST_CASE("http: a sink's exception ends the transfer and is passed on") {
  ScriptedHttp server{{{ScriptedHttp::ok("body")}, {ScriptedHttp::ok("next")}}};
  io::HttpClient client{server_at(server)};
  CHECK_THROWS_WITH_AS(client.send({.download = [](std::string_view) { throw Failure{Exit::failed, "enough"}; }}, generous), "enough", Failure);
  CHECK(client.send({}, generous).body == "next");
}

TEST_CASE("http: a stream is read as it comes") {
  ScriptedHttp server{{{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", Then::hang},
                         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nend\r\n0\r\n\r\n"},
                         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncut\r\n", Then::close}}};
  io::HttpClient client{server_at(server)};
  auto stream = client.open({}, generous);
  CHECK(stream->head().status == 200);
  CHECK(stream->read(generous) == "first");
  CHECK_THROWS_AS(stream->read(generous.within(30ms)), Failure);
  stream = client.open({}, generous);
  CHECK(stream->read(generous) == "end");
  CHECK(stream->read(generous).empty());
  CHECK(stream->read(generous).empty());
  stream = client.open({}, generous);
  CHECK_THROWS_AS((stream->read(generous), stream->read(generous)), io::HttpFailure);
}

TEST_CASE("http: an upgraded connection") {
  ScriptedHttp server{{{"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\nearly"}, {ScriptedHttp::status(409, "busy")}, {"HTTP/1.1 101 UPG", Then::close}}};
  io::HttpClient client{server_at(server)};
  auto hijacked = client.hijack({.method = "POST", .target = "/exec", .body = "{}"}, generous);
  REQUIRE(hijacked.stream);
  std::array<char, 16> chunk;
  CHECK(std::string_view{chunk.data(), hijacked.stream->read(chunk.data(), chunk.size(), generous)} == "early");
  hijacked.stream->end_writing();
  CHECK(hijacked.stream->read(chunk.data(), chunk.size(), generous) == 0);
  hijacked = client.hijack({.method = "POST", .target = "/exec", .body = "{}"}, generous);
  CHECK(!hijacked.stream);
  CHECK(hijacked.head.status == 409);
  CHECK(hijacked.head.body == "busy");
  CHECK_THROWS_AS(client.hijack({.method = "POST", .target = "/exec"}, generous), io::HttpFailure);
  CHECK(server.requests().at(0).find("Upgrade: tcp\r\n") != std::string::npos);
}

TEST_CASE("http: header values can't smuggle lines, text is encoded") {
  ScriptedHttp server{{{ScriptedHttp::ok("")}}};
  io::HttpClient client{server_at(server)};
  CHECK_THROWS_AS(client.send({.headers = {{"X", "a\r\nY: b"}}}, generous), Failure);
  CHECK(io::percent_encode("a/b c:ü~") == "a%2Fb%20c%3A%C3%BC~");
  CHECK(io::percent_encode("a/b:c", "/:") == "a/b:c");
}
