#pragma once
// The release's version in the manifests, with the words that Docker has: ${VERSION} (settings: version_variable), or
// `images:` of codops.yaml with {version}. Then digests.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

struct VersionRules {
  std::string variable{"VERSION"};
  std::string version;  // empty: none was given; then ${VERSION} without a default is an error
  // Key: a workload's name (its only container, or the one of the same name), "workload/container", or an image's
  // repository ("ghcr.io/shop/backend": every container with it). Value: "ghcr.io/shop/backend:{version}".
  std::map<std::string, std::string> images;
};

struct ContainerImage {
  Ref object;
  std::string container;
  std::string image;
  bool init{};
  std::string pull_policy;  // "" when the manifest leaves it open
};

// Puts the version in: ${VERSION}, ${VERSION:-default} and the like in any text outside the data of ConfigMaps and Secrets
// (other variables stay as they are), and `images`. Failure{config}: a key of `images` that fits nothing, a variable without
// a value. True when a version changed anything (if not, and one was given, the caller says 78 as on Docker).
bool put_version(std::vector<Object>& objects, const VersionRules& rules);

std::vector<ContainerImage> images_of(const std::vector<Object>& objects);

// "sha256:…" of an image reference, or nothing where it can't be resolved (a registry that needs more, an image that only the
// node has).
using ResolveDigest = std::function<std::optional<std::string>(const std::string& image)>;
struct Pinned {
  std::map<std::string, std::string> digests;  // image as it stood → digest
  std::vector<std::string> unresolved;         // images that keep their tag
};
// NAME:TAG becomes NAME:TAG@sha256:…; what has a digest already, or imagePullPolicy Never, is left alone. Each image is asked once.
Pinned pin_images(std::vector<Object>& objects, const ResolveDigest& resolve);

struct ImageReference {  // as the API server and kubelet read it
  std::string repository;  // "ghcr.io/shop/backend", "localhost:5000/x", "nginx"
  std::string tag, digest; // "" when absent
};
ImageReference parse_image(std::string_view image);

}  // namespace codops::kube
