#pragma once
// A release that docker compose started, as codops takes it over: containers tell what runs, not what it is for.
#include <string>
#include <vector>

#include "lib/release/release.hpp"

namespace codops::ops {

// With what the same services are in a release that codops knows: roles, order and dependencies, readiness, grace. What codops' own labels
// told of a container stays.
release::Release as_adopted(release::Release found, const std::string& environment, const std::vector<release::ServiceRecord>& known);

}  // namespace codops::ops
