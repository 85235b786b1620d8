#pragma once
// The normalised tree as the JSON that docker compose prints.
#include <nlohmann/json_fwd.hpp>

#include "lib/text/node.hpp"

namespace codops::compose {

nlohmann::json document_of(const text::Node& root);

}  // namespace codops::compose
