#pragma once
// What codops keeps on an engine for itself: an empty image, containers that never run, a volume; all labelled.
#include <string>
#include <string_view>

#include "lib/engine/docker/api.hpp"

namespace codops::engine::docker {

inline constexpr std::string_view empty_image = "codops-empty:1";
inline constexpr std::string_view role_label = "codops.role";        // "state", "lock", "read", "empty"
inline constexpr std::string_view project_label = "codops.project";

// Creates a container that never runs; makes the empty image first where the engine has none (a prune took it).
// `mounts`: volume name → destination.
std::string create_resting_container(Api& api, const std::string& name, const Labels& labels,
                                     const std::map<std::string, std::string>& volumes, const Limits& limits);

}  // namespace codops::engine::docker
