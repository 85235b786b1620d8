#pragma once
// The normalised document as typed values.
#include <nlohmann/json_fwd.hpp>

#include "lib/compose/model.hpp"

namespace codops::compose {

// Fills services, networks, volumes, secrets and configs.
void read_model(const nlohmann::json& document, Project& project);

}  // namespace codops::compose
