#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "engine.hpp"
#include "lib/engine/docker/containers.hpp"
#include "lib/engine/docker/dialer.hpp"
#include "lib/io/fd.hpp"

using namespace codops;
using namespace codops::tests;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

json in_project(const std::string& project, const std::string& service, const std::string& oneoff = "False") {
  return {{"Labels", {{"com.docker.compose.project", project}, {"com.docker.compose.service", service}, {"com.docker.compose.oneoff", oneoff}}}};
}

std::string ask(const std::string& path, const std::string& question) {
  const io::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  io::write_all(socket.get(), question, "the socket");
  ::shutdown(socket.get(), SHUT_WR);
  std::string answer;
  std::array<char, 4096> chunk;
  for (;;) {
    const auto count = ::read(socket.get(), chunk.data(), chunk.size());
    if (count <= 0) return answer;
    answer.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

TEST_CASE("docker: the containers of a project") {
  const auto engine = Engine::find();
  if (!engine) return;
  const auto& limits = engine->limits;
  const auto project = "proj-" + engine->run;
  const auto backend = engine->run_container("backend", {"sh", "-c", "echo one; echo two >&2; echo three; sleep 60"}, in_project(project, "backend"));
  engine->create("worker", {"true"}, in_project(project, "worker"));
  engine->run_container("oneoff", {"sleep", "60"}, in_project(project, "backend", "True"));
  docker::ProjectContainers containers{engine->api, project};
  const auto running = containers.list("", false, limits);
  REQUIRE(running.size() == 1);
  CHECK(running[0].id == backend);
  CHECK(running[0].service == "backend");
  CHECK(running[0].state == target::RunState::running);
  CHECK(containers.list("", true, limits).size() == 2);
  CHECK(containers.list("worker", true, limits).size() == 1);
  CHECK(containers.list("worker", false, limits).empty());

  std::string out;
  CHECK(containers.exec(backend, {.argv = {"sh", "-c", "cat; echo $TOKEN; pwd; exit 9"}, .env = {{"TOKEN", Secret{"t0p"}}}, .workdir = "/tmp"},
                        {.in = io::bytes_of("in "), .out = [&](std::string_view bytes) { out += bytes; }}, limits) == 9);
  CHECK(out == "in t0p\n/tmp\n");
  const auto lines = containers.last_logs(backend, 2, limits);
  CHECK(lines.size() == 2);
  CHECK(containers.last_logs(backend, 100, limits).size() == 3);

  std::string tar;
  containers.read_image(test_image, "/etc/passwd", [&](std::string_view bytes) { tar += bytes; }, limits);
  CHECK(io::read_tar(io::bytes_of(tar), 10'000).at(0).content.starts_with("root:"));
  CHECK_THROWS_AS(containers.read_image(test_image, "/none", [](std::string_view) {}, limits), Failure);
  CHECK_THROWS_AS(containers.read_archive(backend, "/none", [](std::string_view) {}, limits), Failure);
  CHECK(engine->api.containers({{"label", {"codops.project=" + project}}}, true, limits).empty());
}

TEST_CASE("docker: a port of a container is reached by address or by exec") {
  const auto engine = Engine::find();
  if (!engine) return;
  const auto& limits = engine->limits;
  // An echo server: what it reads it sends back, until the reader ends.
  const auto id = engine->run_container("echo", {"nc", "-ll", "-p", "7777", "-e", "/bin/cat"});
  docker::ContainerDialer dialer{engine->api};
  const auto details = engine->api.inspect_container(id, limits);
  std::unique_ptr<target::Endpoint> endpoint;
  for (int attempt = 0; !endpoint; ++attempt) {
    try {
      endpoint = dialer.dial_by_exec(details, 7777, limits);
    } catch (const Failure& failure) {
      REQUIRE(attempt < 50);  // it has only just started
      CHECK(failure.code() == Exit::unavailable);
    }
  }
  CHECK(endpoint->host().empty());
  const std::string question(500'000, 'q');
  CHECK(ask(endpoint->unix_socket(), "hello") == "hello");
  CHECK(ask(endpoint->unix_socket(), question) == question);

  const auto direct = dialer.dial(id, 7777, limits);
  CHECK((direct->unix_socket().empty() ? direct->port() == 7777 : direct->host().empty()));
  try {
    dialer.dial(id, 7778, limits);
    FAIL("nobody listens there");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::unavailable);
    CHECK(failure.message().find("nobody listens on port 7778") == 0);
  }
  endpoint.reset();
}
