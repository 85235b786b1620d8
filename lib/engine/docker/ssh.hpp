#pragma once
// An engine behind SSH: a private Unix socket, each connection to which is `ssh HOST docker system dial-stdio`.
#include "lib/engine/docker/endpoint.hpp"

namespace codops::engine::docker {

// For Endpoint::Kind::ssh: starts the listener, points server.unix_socket at it and keeps it alive in `transport`.
// Any other endpoint is left as it is. Throws Failure{unavailable} when there is no ssh program.
void open_ssh_transport(Endpoint& endpoint);
// The command of one connection.
std::vector<std::string> ssh_command(const Endpoint& endpoint);

// `docker-credential-NAME get`, as RegistryAuth wants it.
std::optional<Secret> run_credential_helper(const std::string& helper, const std::string& server, const Limits& limits);

}  // namespace codops::engine::docker
