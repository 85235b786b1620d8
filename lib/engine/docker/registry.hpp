#pragma once
// What a registry says of a tag (OCI distribution specification: HEAD of a manifest; Docker's token protocol), with the credentials that
// `docker login` left.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "lib/engine/docker/image_name.hpp"
#include "lib/engine/docker/registry_auth.hpp"
#include "lib/io/http.hpp"

namespace codops::engine::docker {

// `Bearer realm="https://…",service="x"` of WWW-Authenticate: scheme and realm in lower-case names, values as they stand.
struct Challenge {
  std::string scheme;  // "bearer", "basic"
  std::map<std::string, std::string> parameters;
};
Challenge parse_challenge(std::string_view header);

class Registries {
 public:
  explicit Registries(RegistryAuth auth);

  // "sha256:…" of NAME:TAG. Failure{unavailable}: nobody answers; Failure{failed}: the registry says no, and why.
  std::string digest_of(const std::string& image, const Limits& limits);
  const RegistryAuth& auth() const noexcept { return auth_; }

 private:
  io::HttpClient& client_for(const std::string& url);
  io::HttpResponse ask(const ImageName& name, const std::string& authorization, const Limits& limits);
  std::string authorization_for(const Challenge& challenge, const ImageName& name, const Limits& limits);
  std::string token(const Challenge& challenge, const ImageName& name, const std::optional<Credentials>& credentials, const Limits& limits);

  RegistryAuth auth_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<io::HttpClient>> clients_;  // by scheme and host
};

}  // namespace codops::engine::docker
