#include "lib/kube/kustomize.hpp"

#include <fmt/format.h>

#include <array>

namespace codops::kube {

std::filesystem::path find_kustomization(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto* name : {"kustomization.yaml", "kustomization.yml", "Kustomization"}) {
    if (std::filesystem::is_regular_file(folder / name, ignored)) return folder / name;
  }
  return {};
}

Kustomized kustomize(const std::filesystem::path& folder, const std::filesystem::path&) {
  throw Failure{Exit::config, fmt::format("\"{}\" is a kustomization", folder.string())};
}

}  // namespace codops::kube
