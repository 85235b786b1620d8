#include "lib/engine/docker/ssh.hpp"

#include <filesystem>

#include "engine.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"

using namespace codops;
using namespace codops::tests;
using namespace std::chrono_literals;

TEST_CASE("docker: the ssh command asks no questions and can't be an option") {
  const auto argv = docker::ssh_command(docker::parse_host("ssh://deploy@example.org:2222"));
  CHECK(argv == std::vector<std::string>{"ssh", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T", "-l", "deploy", "-p", "2222", "--",
                                         "example.org", "docker", "system", "dial-stdio"});
}

TEST_CASE("docker: an engine behind ssh") {
  const auto engine = Engine::find();
  if (!engine) return;
  const auto cli = io::find_program("docker");
  if (!cli || engine->api.client().endpoint().kind != docker::Endpoint::Kind::unix_socket) {
    MESSAGE("skipped: needs the docker command and an engine on a Unix socket");
    return;
  }
  // Stands for ssh: runs the remote command here.
  const io::TemporaryFolder folder;
  io::write_file(folder.path() / "ssh",
                 "#!/bin/sh\nexec " + cli->string() + " -H " + engine->api.client().endpoint().shown + " system dial-stdio\n", 0700);
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", (folder.path().string() + ":" + path).c_str(), 1);
  auto endpoint = docker::parse_host("ssh://somewhere");
  docker::open_ssh_transport(endpoint);
  {
    docker::Api api{endpoint};
    CHECK(api.info(engine->limits).id == engine->api.info(engine->limits).id);
    const auto id = engine->run_container("far", {"sleep", "60"});
    std::string out;
    CHECK(api.run_exec(id, {.argv = {"cat"}}, io::bytes_of("through ssh"), [&](std::string_view bytes) { out += bytes; }, {}, engine->limits) == 0);
    CHECK(out == "through ssh");
  }
  ::setenv("PATH", path.c_str(), 1);
  const auto begin = std::chrono::steady_clock::now();
  endpoint.transport.reset();
  CHECK(std::chrono::steady_clock::now() - begin < 8s);
}
