#pragma once
#include <memory>

#include "lib/ops/engine.hpp"

namespace codops::ops::kubernetes {

std::unique_ptr<Engine> open_cluster(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock);

}  // namespace codops::ops::kubernetes
