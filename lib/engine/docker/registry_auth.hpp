#pragma once
// Credentials for a registry as `docker login` left them: DOCKER_AUTH_CONFIG, then ~/.docker/config.json with
// credHelpers[registry] > credsStore > auths.
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/cancel.hpp"
#include "lib/base/known_secrets.hpp"
#include "lib/base/secret.hpp"
#include "lib/engine/docker/endpoint.hpp"

namespace codops::engine::docker {

struct Credentials {
  std::string username;
  Secret password;
  Secret identity_token;  // instead of a password
  std::string server;     // the key under which it was found
};

// Runs `docker-credential-NAME get` with the server on stdin and returns its stdout; nullopt when it exits non-zero.
using CredentialHelper =
    std::function<std::optional<Secret>(const std::string& helper, const std::string& server, const Limits& limits)>;

class RegistryAuth {
 public:
  RegistryAuth();  // knows nobody
  RegistryAuth(const Variables& variables, CredentialHelper helper);

  std::optional<Credentials> find(std::string_view registry, const Limits& limits) const;
  // The value of X-Registry-Auth (base64url of JSON); "e30=" ({}) without credentials.
  Secret header(std::string_view registry, const Limits& limits) const;
  // What must not be shown: all that the files have, and what helpers said so far; none is asked for it.
  void add_secrets(KnownSecrets& secrets) const;

 private:
  std::optional<Credentials> ask_helper(const std::string& name, const std::string& server, const Limits& limits) const;
  std::optional<Credentials> find_in(const nlohmann::json& config, const std::string& server,
                                     const Limits& limits) const;

  std::shared_ptr<const nlohmann::json> from_variable_, from_file_;
  CredentialHelper helper_;
  // What helpers answered, shared by copies.
  struct Heard;
  std::shared_ptr<Heard> heard_;
};

}  // namespace codops::engine::docker
