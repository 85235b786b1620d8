#pragma once
// What the tags of a release mean right now, by their registries.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/known_secrets.hpp"

namespace codops::engine::docker {
class Registries;
}

namespace codops::ops::kubernetes {

class Digests {
 public:
  // `shell`: where DOCKER_CONFIG and the like say what `docker login` left.
  explicit Digests(const std::map<std::string, std::string>& shell);
  ~Digests();

  struct Answer {
    std::string digest;  // "sha256:…", else
    std::string why;     // there is none
  };
  // Side by side, each registry for a few seconds at most; each image is asked about once in a command.
  const std::map<std::string, Answer>& of(const std::vector<std::string>& images, const Limits& limits);
  // The registries' credentials, as far as they are known: no helper is asked.
  void add_secrets(KnownSecrets& secrets) const;

 private:
  std::unique_ptr<engine::docker::Registries> registries_;
  std::map<std::string, Answer> known_;
};

}  // namespace codops::ops::kubernetes
