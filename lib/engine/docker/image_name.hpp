#pragma once
// "ghcr.io/shop/backend:v1@sha256:…" in its parts, by Docker's rules (distribution/reference).
#include <string>
#include <string_view>

namespace codops::engine::docker {

struct ImageName {
  std::string registry;    // "docker.io" when the text names none
  std::string repository;  // "library/nginx", "shop/backend"
  std::string tag;         // empty when absent
  std::string digest;      // "sha256:…"; empty when absent

  // As people write it: without "docker.io/" and "library/", with tag and digest.
  std::string familiar() const;
  // familiar() without tag and digest.
  std::string familiar_repository() const;
  std::string reference() const;  // the digest, else the tag, else "latest"
};

// Throws Failure{config} when the text is no image name.
ImageName parse_image_name(std::string_view text);

}  // namespace codops::engine::docker
