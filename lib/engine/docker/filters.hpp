#pragma once
// How the API takes filters: {"label":["a=b"]} in one query parameter.
#include "lib/engine/docker/api.hpp"

namespace codops::engine::docker {

std::string filters_text(const Filters& filters);
Query filters_query(const Filters& filters);  // empty without filters

}  // namespace codops::engine::docker
