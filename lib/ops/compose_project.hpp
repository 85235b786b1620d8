#pragma once
// The compose file of an environment, read as a deploy reads it.
#include <map>
#include <string>

#include "lib/compose/model.hpp"
#include "lib/settings/environment.hpp"

namespace codops::ops {

// The compose project of an environment for a version: VERSION set, images of `images:` put in. Failure{config} where a file is wrong; values
// that may be secrets are hidden in its words.
compose::Project load_compose(const settings::Environment& environment, const std::string& version,
                              const std::map<std::string, std::string>& shell);

// The project's name on the engine, without reading more than is needed: settings, then compose's rule.
std::string project_name(const settings::Environment& environment, const std::map<std::string, std::string>& shell);

}  // namespace codops::ops
