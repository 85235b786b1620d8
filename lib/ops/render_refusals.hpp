#pragma once
// What codops does not deploy, and settings that name nobody: found before anything is read or asked.
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/settings/environment.hpp"

namespace codops::ops {

// Settings that are a rule for a service which the compose file does not have. Failure{config} where it is like one that is there (of data,
// a misspelt name is data that is run twice); else a line each for the plan: it may be one of another environment, or of a profile.
std::vector<std::string> unknown_services(const compose::Project& project, const settings::Environment& environment);

// Failure{config} for what lives in another container (namespaces, its volumes), a folder within a volume, and a target that is no absolute
// path: a container is replaced under its own name, and whoever lives in it would be left behind.
void refuse_what_is_shared(const compose::Service& service);

}  // namespace codops::ops
