#pragma once
// Which engine: DOCKER_HOST, else DOCKER_CONTEXT, else the current context of ~/.docker/config.json, else the local socket.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/cancel.hpp"
#include "lib/io/http.hpp"

namespace codops::engine::docker {

// A variable of the environment, nullopt when it is not set.
using Variables = std::function<std::optional<std::string>(std::string_view name)>;
Variables process_environment();

struct Endpoint {
  enum class Kind { unix_socket, tcp, ssh };
  Kind kind{Kind::unix_socket};
  std::string shown;    // "unix:///run/docker.sock", for messages
  std::string origin;   // "DOCKER_HOST", "context \"prod\"", "default"
  io::HttpServer server;
  std::string ssh_host, ssh_user;
  std::uint16_t ssh_port{};
  // For ssh: whatever makes server.unix_socket lead to the engine (open_ssh_transport in ssh.hpp).
  std::shared_ptr<void> transport;

  bool remote() const noexcept { return kind != Kind::unix_socket; }
};

Endpoint resolve_endpoint(const Variables& variables);
// "unix:///path", "tcp://host:port", "ssh://user@host:port", "https://…". Throws Failure{config}.
Endpoint parse_host(std::string_view host);

// ~/.docker or $DOCKER_CONFIG; empty when there is no home.
std::string config_folder(const Variables& variables);

}  // namespace codops::engine::docker
