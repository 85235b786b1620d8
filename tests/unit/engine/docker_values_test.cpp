#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/engine/docker/answers.hpp"
#include "lib/engine/docker/endpoint.hpp"
#include "lib/engine/docker/image_name.hpp"
#include "lib/engine/json_lines.hpp"
#include "lib/engine/docker/registry_auth.hpp"
#include "lib/engine/docker/stream_frames.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"

using namespace codops;
using namespace codops::engine;
using namespace codops::engine::docker;
using nlohmann::json;

namespace {

Variables variables_of(std::map<std::string, std::string> values) {
  return [values = std::move(values)](std::string_view name) -> std::optional<std::string> {
    const auto found = values.find(std::string{name});
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

json header_of(const RegistryAuth& auth, const std::string& registry) {
  auto text = auth.header(registry, {}).reveal();
  CHECK(text.size() % 4 == 0);
  while (text.ends_with('=')) text.pop_back();
  return json::parse(io::from_base64url(text).value_or(""));
}

}  // namespace

TEST_CASE("docker: image names") {
  const auto check = [](const std::string& text, const std::string& registry, const std::string& repository, const std::string& tag, const std::string& familiar) {
    const auto name = parse_image_name(text);
    CHECK(name.registry == registry);
    CHECK(name.repository == repository);
    CHECK(name.tag == tag);
    CHECK(name.familiar() == familiar);
  };
  check("nginx", "docker.io", "library/nginx", "", "nginx");
  check("nginx:1.28", "docker.io", "library/nginx", "1.28", "nginx:1.28");
  check("docker.io/library/nginx:1.28", "docker.io", "library/nginx", "1.28", "nginx:1.28");
  check("shop/backend", "docker.io", "shop/backend", "", "shop/backend");
  check("ghcr.io/shop/backend:v1", "ghcr.io", "shop/backend", "v1", "ghcr.io/shop/backend:v1");
  check("localhost:5000/a/b/c:x", "localhost:5000", "a/b/c", "x", "localhost:5000/a/b/c:x");
  check("localhost/a", "localhost", "a", "", "localhost/a");
  const std::string digest = "sha256:" + std::string(64, 'a');
  CHECK(parse_image_name("nginx:1@" + digest).reference() == digest);
  CHECK(parse_image_name("nginx").reference() == "latest");
  for (const char* bad : {"", ":tag", "Nginx", "a//b", "nginx:", "nginx:-x", "nginx@sha256:12", "a b", "/a", "a/", "nginx:ta g"}) {
    CHECK_THROWS_AS(parse_image_name(bad), Failure);
  }
}

TEST_CASE("docker: which engine") {
  CHECK(resolve_endpoint(variables_of({})).server.unix_socket == "/var/run/docker.sock");
  const auto host = resolve_endpoint(variables_of({{"DOCKER_HOST", "unix:///tmp/x.sock"}}));
  CHECK(host.server.unix_socket == "/tmp/x.sock");
  CHECK(host.origin == "DOCKER_HOST");
  CHECK(parse_host("tcp://10.0.0.1").server.url == "http://10.0.0.1:2375");
  CHECK(parse_host("tcp://[::1]:99").server.url == "http://[::1]:99");
  CHECK(parse_host("tcp://[::1]").server.url == "http://[::1]:2375");
  CHECK(parse_host("https://engine:2376").server.url == "https://engine:2376");
  const auto ssh = parse_host("ssh://deploy@host:2222");
  CHECK(ssh.kind == Endpoint::Kind::ssh);
  CHECK(ssh.ssh_user == "deploy");
  CHECK(ssh.ssh_host == "host");
  CHECK(ssh.ssh_port == 2222);
  for (const char* bad : {"", "unix://", "npipe://x", "ssh://-oProxyCommand=x", "ssh://", "tcp://"}) CHECK_THROWS_AS(parse_host(bad), Failure);

  const io::TemporaryFolder folder;
  const auto meta = folder.path() / "contexts" / "meta" / "abc";
  std::filesystem::create_directories(meta);
  std::filesystem::create_directories(folder.path() / "contexts" / "tls" / "abc" / "docker");
  std::ofstream{folder.path() / "contexts" / "tls" / "abc" / "docker" / "ca.pem"} << "x";
  std::ofstream{meta / "meta.json"} << R"({"Name":"prod","Endpoints":{"docker":{"Host":"tcp://prod:2376","SkipTLSVerify":false}}})";
  std::ofstream{folder.path() / "config.json"} << R"({"currentContext":"prod"})";
  const auto current = resolve_endpoint(variables_of({{"DOCKER_CONFIG", folder.path().string()}}));
  CHECK(current.server.url == "https://prod:2376");
  CHECK(current.server.tls.ca_file == (folder.path() / "contexts/tls/abc/docker/ca.pem").string());
  CHECK(current.origin == "context \"prod\"");
  CHECK(resolve_endpoint(variables_of({{"DOCKER_CONFIG", folder.path().string()}, {"DOCKER_HOST", "unix:///x"}})).server.unix_socket == "/x");
  CHECK(resolve_endpoint(variables_of({{"DOCKER_CONFIG", folder.path().string()}, {"DOCKER_CONTEXT", "default"}})).origin == "default");
  CHECK_THROWS_AS(resolve_endpoint(variables_of({{"DOCKER_CONFIG", folder.path().string()}, {"DOCKER_CONTEXT", "none"}})), Failure);
  CHECK_THROWS_AS(resolve_endpoint(variables_of({{"DOCKER_HOST", "tcp://h:1"}, {"DOCKER_TLS_VERIFY", "1"}, {"DOCKER_CERT_PATH", "/nonexistent"}})), Failure);
}

TEST_CASE("docker: registry credentials") {
  const io::TemporaryFolder folder;
  const auto alice = io::to_base64("alice:p:w");
  std::ofstream{folder.path() / "config.json"} << json{{"auths", {{"https://index.docker.io/v1/", {{"auth", alice}}}, {"https://reg.example/v2/", {{"auth", alice}}}, {"broken.example", {{"auth", "%%%"}}}, {"empty.example", json::object()}}},
                                                       {"credHelpers", {{"gcr.example", "gcloud"}}}};
  std::vector<std::string> asked;
  const RegistryAuth auth{variables_of({{"DOCKER_CONFIG", folder.path().string()}}), [&](const std::string& helper, const std::string& server, const Limits&) -> std::optional<Secret> {
                            asked.push_back(helper + " " + server);
                            return Secret{R"({"Username":"<token>","Secret":"t0ken"})"};
                          }};
  CHECK(header_of(auth, "docker.io") == json{{"username", "alice"}, {"password", "p:w"}, {"serveraddress", "https://index.docker.io/v1/"}});
  CHECK(auth.find("reg.example", {})->username == "alice");
  CHECK(!auth.find("other.example", {}));
  CHECK(!auth.find("empty.example", {}));
  CHECK(header_of(auth, "other.example") == json::object());
  CHECK(header_of(auth, "gcr.example").at("identitytoken") == "t0ken");
  CHECK(asked == std::vector<std::string>{"gcloud gcr.example"});
  CHECK_THROWS_AS(auth.find("broken.example", {}), Failure);

  const RegistryAuth variable{variables_of({{"DOCKER_CONFIG", folder.path().string()}, {"DOCKER_AUTH_CONFIG", R"({"auths":{"reg.example":{"username":"ci","password":"x"}}})"}}), {}};
  CHECK(variable.find("reg.example", {})->username == "ci");
  CHECK(variable.find("docker.io", {})->username == "alice");
  CHECK_THROWS_AS((RegistryAuth{variables_of({{"DOCKER_AUTH_CONFIG", "not json"}}), {}}), Failure);
}

TEST_CASE("docker: what docker login left is not shown, in whatever form; no helper is asked for that") {
  const io::TemporaryFolder folder;
  const auto pair = io::to_base64("alice:Kanari-one");
  std::ofstream{folder.path() / "config.json"} << json{{"auths", {{"a.example", {{"auth", pair}}}, {"b.example", {{"username", "bob"}, {"password", "Kanari-two"}}},
                                                                 {"c.example", {{"identitytoken", "Kanari-three"}, {"auth", "%%broken%%"}}}, {"d.example", 7}}},
                                                       {"credHelpers", {{"gcr.example", "gcloud"}}}};
  int asked = 0;
  const RegistryAuth auth{variables_of({{"DOCKER_CONFIG", folder.path().string()}, {"DOCKER_AUTH_CONFIG", R"({"auths":{"e.example":{"username":"ci","password":"Kanari-four"}}})"}}),
                          [&](const std::string&, const std::string&, const Limits&) -> std::optional<Secret> {
                            ++asked;
                            return Secret{R"({"Username":"oauth","Secret":"Kanari-five"})"};
                          }};
  const auto copy = auth;
  const auto hidden = [&](const std::string& text) {
    KnownSecrets secrets;
    copy.add_secrets(secrets);
    return secrets.hide("<" + text + ">");
  };
  for (const auto& text : {std::string{"alice:Kanari-one"}, std::string{"Kanari-one"}, pair, std::string{"Kanari-two"}, io::to_base64("bob:Kanari-two"), std::string{"Kanari-three"}, std::string{"%%broken%%"},
                           std::string{"Kanari-four"}}) {
    CHECK(hidden(text) == "<***>");
  }
  CHECK(asked == 0);
  CHECK(hidden("Kanari-five") == "<Kanari-five>");
  CHECK(auth.find("gcr.example", {}).has_value());
  CHECK(hidden("Kanari-five") == "<***>");
  CHECK(hidden(io::to_base64("oauth:Kanari-five")) == "<***>");
  CHECK(asked == 1);
}

TEST_CASE("docker: frames, however they are cut") {
  const auto frame = [](char stream, const std::string& text) {
    std::string bytes{stream, 0, 0, 0, 0, 0, static_cast<char>(text.size() >> 8), static_cast<char>(text.size() & 255)};
    return bytes + text;
  };
  const auto whole = frame(1, "out") + frame(2, "") + frame(2, std::string(300, 'e')) + frame(1, "more");
  for (std::size_t cut = 1; cut <= whole.size(); ++cut) {
    std::string out, err;
    StreamFrames frames{[&](std::string_view bytes) { out += bytes; }, [&](std::string_view bytes) { err += bytes; }};
    for (std::size_t at = 0; at < whole.size(); at += cut) frames.feed(std::string_view{whole}.substr(at, cut));
    REQUIRE(out == "outmore");
    REQUIRE(err == std::string(300, 'e'));
    REQUIRE(frames.complete());
  }
  StreamFrames frames{{}, {}};
  frames.feed(frame(1, "x").substr(0, 8));
  CHECK(!frames.complete());
  CHECK_THROWS_AS((StreamFrames{{}, {}}.feed("plain text of a terminal")), Failure);
  CHECK_THROWS_AS((StreamFrames{{}, {}}.feed(frame(3, "daemon trouble"))), Failure);
}

TEST_CASE("docker: JSON lines, however they are cut") {
  const std::string whole = "{\"a\":1}\r\n\n{\"a\":2}\n{\"a\":";
  for (std::size_t cut = 1; cut <= whole.size(); ++cut) {
    JsonLines lines;
    std::vector<int> found;
    for (std::size_t at = 0; at < whole.size(); at += cut) {
      lines.feed(std::string_view{whole}.substr(at, cut));
      while (const auto value = lines.next()) found.push_back(value->at("a").get<int>());
    }
    REQUIRE(found == std::vector<int>{1, 2});
    REQUIRE(lines.has_rest());
  }
  JsonLines lines;
  lines.feed("nonsense\n");
  CHECK_THROWS_AS(lines.next(), Failure);
}

TEST_CASE("docker: answers with nulls and surprises read as empty") {
  const auto details = container_details(json::parse(R"({"Id":"i","Name":"/n","Config":{"Labels":null,"Env":null},"State":{"Status":"exited","Health":null,"OOMKilled":true,"ExitCode":137,
      "StartedAt":"2026-01-01T00:00:00.5Z","FinishedAt":"0001-01-01T00:00:00Z"},"NetworkSettings":{"Networks":null},"Mounts":null,
      "HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},"RestartPolicy":{"Name":"always"}}})"));
  CHECK(details.name == "n");
  CHECK(details.state == RunState::exited);
  CHECK(details.oom_killed);
  CHECK(details.health == HealthState::none);
  CHECK(details.started);
  CHECK(!details.finished);
  REQUIRE(details.ports.size() == 1);
  CHECK(details.ports[0].host_port == 8080);
  CHECK(container_details(json::array()).id.empty());
  // What the engine itself makes of the swap is nobody's wish.
  CHECK(resource_limits(json::parse(R"({"Memory":100,"MemorySwap":200,"NanoCpus":5,"PidsLimit":null,"CpusetCpus":"","CpuShares":0})")) ==
        std::map<std::string, std::string>{{"Memory", "100"}, {"NanoCpus", "5"}});
  CHECK(resource_limits(json::parse(R"({"Memory":100,"MemorySwap":-1})")) == std::map<std::string, std::string>{{"Memory", "100"}});
  CHECK(resource_limits(json::parse(R"({"Memory":100,"MemorySwap":150,"CpusetCpus":"0-1"})")).size() == 3);
  CHECK(resource_limits(json()).empty());
  CHECK(image_summary(json::parse(R"({"RepoTags":["<none>:<none>"],"RepoDigests":null})")).tags.empty());
  CHECK(health_in_status("Up 2 minutes (healthy)") == HealthState::healthy);
  CHECK(health_in_status("Up 2 minutes (unhealthy)") == HealthState::unhealthy);
  CHECK(health_in_status("Up 1 second (health: starting)") == HealthState::starting);
  CHECK(health_in_status("Exited (0) 3 days ago") == HealthState::none);
  CHECK(distribution_info(json::parse(R"({"Descriptor":{"digest":"sha256:1","size":7},"Platforms":[{"os":"linux","architecture":"arm","variant":"v7"}]})")).platforms.at(0) == "linux/arm/v7");
}
