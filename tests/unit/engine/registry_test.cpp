#include <doctest/doctest.h>

#include <mutex>

#include "lib/base/failure.hpp"
#include "lib/engine/docker/registry.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::engine::docker;

namespace {

const std::string found = "sha256:0123456789012345678901234567890123456789012345678901234567890123";

std::string reply(const std::string& status, const std::string& headers, const std::string& body = {}) {
  return "HTTP/1.1 " + status + "\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("registry: what WWW-Authenticate asks for") {
  const auto bearer = parse_challenge(R"(Bearer realm="https://auth.example.com/token",service="registry, x",scope="repository:a/b:pull,push")");
  CHECK(bearer.scheme == "bearer");
  CHECK(bearer.parameters.at("realm") == "https://auth.example.com/token");
  CHECK(bearer.parameters.at("service") == "registry, x");
  CHECK(bearer.parameters.at("scope") == "repository:a/b:pull,push");
  CHECK(parse_challenge("Basic realm=plain").parameters.at("realm") == "plain");
  CHECK(parse_challenge("").parameters.empty());
  CHECK(parse_challenge("Bearer").parameters.empty());
  CHECK(parse_challenge("Bearer realm=\"cut").parameters.at("realm") == "cut");
}

TEST_CASE("registry: a token is fetched with the password, the digest with the token") {
  std::mutex mutex;
  std::vector<std::string> seen;
  std::uint16_t port = 0;
  std::string realm;
  tests::ScriptedServer server{[&](tests::Peer& peer) {
    const auto request = peer.read_request();
    std::string answer;
    {
      const std::lock_guard lock{mutex};
      seen.push_back(request);
      if (request.starts_with("GET /token?service=here&scope=repository%3Ashop%2Fweb%3Apull ")) answer = reply("200 OK", "", R"({"token":"t0ken"})");
      else if (request.find("Authorization: Bearer t0ken\r\n") != std::string::npos) answer = reply("200 OK", "Docker-Content-Digest: " + found + "\r\n");
      else answer = reply("401 Unauthorized", "WWW-Authenticate: Bearer realm=\"" + realm + "\",service=\"here\",scope=\"repository:shop/web:pull\"\r\n");
    }
    peer.send(answer);
  }};
  port = server.port();
  const auto host = "127.0.0.1:" + std::to_string(port);
  const auto variables = [&](std::string_view name) -> std::optional<std::string> {
    if (name == "DOCKER_AUTH_CONFIG") return R"({"auths":{")" + host + R"(":{"username":"ci","password":"pass"}}})";
    return std::nullopt;
  };
  const Limits limits{Deadline::after(Milliseconds{20'000}), {}};
  Registries registries{RegistryAuth{variables, {}}};
  SUBCASE("of a server that a password may go to") {
    realm = server.url("/token");
    CHECK(registries.digest_of(host + "/shop/web:v1", limits) == found);
    REQUIRE(seen.size() == 3);
    CHECK(seen[0].starts_with("HEAD /v2/shop/web/manifests/v1 "));
    CHECK(seen[0].find("Authorization") == std::string::npos);
    CHECK(seen[1].find("Authorization: Basic Y2k6cGFzcw==\r\n") != std::string::npos);
  }
  SUBCASE("but to no other over plain HTTP") {
    realm = "http://auth.example.com/token";
    CHECK_THROWS_AS(registries.digest_of(host + "/shop/web:v1", limits), Failure);
    CHECK(seen.size() == 1);
  }
}
