#pragma once
// The native subset of kustomize 5 (as in kubectl 1.36). A field that is not of the subset is an error that names the way out.
#include <filesystem>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

// kustomization.yaml, kustomization.yml or Kustomization in `folder`; empty: none.
std::filesystem::path find_kustomization(const std::filesystem::path& folder);

struct Kustomized {
  std::vector<Object> objects;  // in the order of `kubectl kustomize`: by kind, unless sortOptions says otherwise
  std::vector<std::string> warnings;
  std::vector<std::filesystem::path> files;
};
// Failure{config} with positions.
Kustomized render_kustomization(const std::filesystem::path& folder, const std::filesystem::path& shown_from);

}  // namespace codops::kube
