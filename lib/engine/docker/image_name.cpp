#include "lib/engine/docker/image_name.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/failure.hpp"

namespace codops::engine::docker {
namespace {

constexpr std::string_view hub = "docker.io";

bool all_of(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

constexpr std::string_view path_characters = "abcdefghijklmnopqrstuvwxyz0123456789._-/";
constexpr std::string_view tag_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
constexpr std::size_t longest_tag = 128;

[[noreturn]] void reject(std::string_view text) {
  throw Failure{Exit::config, fmt::format("\"{}\" is no image name", text), "[REGISTRY/]NAME[:TAG][@sha256:DIGEST]"};
}

bool valid_digest(std::string_view digest) {
  const auto colon = digest.find(':');
  return colon != std::string_view::npos && digest.size() - colon - 1 >= 32 &&
         all_of(digest.substr(colon + 1), "0123456789abcdef");
}

bool valid_repository(std::string_view repository) {
  return all_of(repository, path_characters) && !repository.starts_with('/') && !repository.ends_with('/') &&
         repository.find("//") == std::string_view::npos && !repository.starts_with('-') &&
         !repository.starts_with('.') && !repository.ends_with('.');
}

}  // namespace

ImageName parse_image_name(std::string_view text) {
  ImageName name;
  auto rest = text;
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    name.digest = std::string{rest.substr(at + 1)};
    rest = rest.substr(0, at);
    if (!valid_digest(name.digest)) reject(text);
  }
  const auto last_slash = rest.rfind('/');
  if (const auto colon = rest.rfind(':');
      colon != std::string_view::npos && (last_slash == std::string_view::npos || colon > last_slash)) {
    name.tag = std::string{rest.substr(colon + 1)};
    rest = rest.substr(0, colon);
    if (!all_of(name.tag, tag_characters) || name.tag.size() > longest_tag || name.tag[0] == '.' || name.tag[0] == '-') {
      reject(text);
    }
  }
  const auto slash = rest.find('/');
  const auto first = rest.substr(0, slash);
  // The first part is a host only when it can't be part of a path: Docker's own rule.
  const bool has_registry = slash != std::string_view::npos &&
                            (first.find_first_of(".:") != std::string_view::npos || first == "localhost" ||
                             std::any_of(first.begin(), first.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
  name.registry = std::string{has_registry ? first : hub};
  if (name.registry == "index.docker.io") name.registry = std::string{hub};
  name.repository = std::string{has_registry ? rest.substr(slash + 1) : rest};
  if (!valid_repository(name.repository)) reject(text);
  if (name.registry == hub && name.repository.find('/') == std::string::npos) name.repository.insert(0, "library/");
  return name;
}

std::string ImageName::familiar_repository() const {
  if (registry != hub) return fmt::format("{}/{}", registry, repository);
  constexpr std::string_view official = "library/";
  return repository.starts_with(official) ? repository.substr(official.size()) : repository;
}

std::string ImageName::familiar() const {
  auto text = familiar_repository();
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest;
  return text;
}

std::string ImageName::reference() const {
  if (!digest.empty()) return digest;
  return tag.empty() ? "latest" : tag;
}

}  // namespace codops::engine::docker
