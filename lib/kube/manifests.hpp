#pragma once
// What a project wants in a cluster: a folder of manifests, one file, or a kustomization (the native subset of kustomize.hpp).
#include <filesystem>
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

struct Manifests {
  std::vector<Object> objects;      // in the order of files (by name, folders after files as one sorted list of paths) and documents
  std::vector<std::string> warnings;
  bool kustomized{};
  std::vector<std::filesystem::path> files;  // what was read
};

// `path`: a folder with a kustomization, a kustomization, a folder with .yaml/.yml/.json files (recursively, hidden ones left
// out) or one file. `shown_from`: positions show paths relative to it. Lists are flattened. Everything that is wrong is
// reported at once: Failure{config}, a line "file:line:column: …" each.
Manifests load_manifests(const std::filesystem::path& path, const std::filesystem::path& shown_from);

// The text of one stream of manifests ("-", what an external kustomize or helm template wrote).
Manifests read_manifests(std::string_view text, std::string file);

}  // namespace codops::kube
