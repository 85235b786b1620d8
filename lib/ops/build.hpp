#pragma once
// Building the services that have `build:` with the engine's classic builder.
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/ops/host.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops {

// `only` empty: all that have `build:`. `push` sends the images to their registry. Failure with the builder's last lines.
std::vector<Built> build_services(Host& host, const compose::Project& project, const std::vector<std::string>& only, bool push, const Limits& limits);

}  // namespace codops::ops
