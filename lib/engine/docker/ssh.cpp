#include "lib/engine/docker/ssh.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <memory>

#include "lib/io/process.hpp"
#include "lib/io/tar.hpp"
#include "lib/io/unix_listener.hpp"

namespace codops::engine::docker {
namespace {

std::map<std::string, std::string> environment() {
  auto environment = io::usual_environment();
  environment.merge(io::environment_of({"SSH_AUTH_SOCK", "SSH_AGENT_PID", "XDG_RUNTIME_DIR", "DOCKER_CONFIG",
                                        "DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME"}));
  return environment;
}

}  // namespace

std::vector<std::string> ssh_command(const Endpoint& endpoint) {
  // BatchMode: a question for a password would hang where nobody sits.
  std::vector<std::string> argv{"ssh", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T"};
  if (!endpoint.ssh_user.empty()) argv.insert(argv.end(), {"-l", endpoint.ssh_user});
  if (endpoint.ssh_port != 0) argv.insert(argv.end(), {"-p", fmt::format("{}", endpoint.ssh_port)});
  argv.insert(argv.end(), {"--", endpoint.ssh_host, "docker", "system", "dial-stdio"});
  return argv;
}

void open_ssh_transport(Endpoint& endpoint) {
  if (endpoint.kind != Endpoint::Kind::ssh) return;
  if (!io::find_program("ssh")) {
    throw Failure{Exit::unavailable, fmt::format("\"{}\" needs the program ssh", endpoint.shown), "apt install openssh-client"};
  }
  const auto listener = std::make_shared<io::UnixListener>([argv = ssh_command(endpoint)](io::Fd connection, const Cancel& cancel) {
    io::Program program;
    program.argv = argv;
    program.env = environment();
    // The child has the connection itself as stdin and stdout; on this thread, because the child dies with it.
    io::Child child{program, {.in = connection.get(), .out = connection.get()}};
    connection.reset();
    const Limits limits{Deadline::never(), cancel};
    limits.wait(child.exit_fd(), POLLIN);
  });
  endpoint.server.unix_socket = listener->path();
  endpoint.server.url = "http://localhost";
  endpoint.transport = listener;
}

std::optional<Secret> run_credential_helper(const std::string& helper, const std::string& server, const Limits& limits) {
  io::Program program;
  program.argv = {fmt::format("docker-credential-{}", helper), "get"};
  program.env = environment();
  if (helper.find('/') != std::string::npos || !io::find_program(program.argv[0])) return std::nullopt;
  std::string out;
  constexpr Milliseconds long_enough{30'000};
  const auto outcome = io::run(program, {.in = io::bytes_of(server), .out = [&out](std::string_view bytes) { out += bytes; }},
                               limits.within(long_enough));
  if (!outcome.status.success()) return std::nullopt;
  return Secret{std::move(out)};
}

}  // namespace codops::engine::docker
