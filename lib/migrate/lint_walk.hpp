#pragma once
// The rules' one walk over a script's statements; exceptions are not looked at yet.
#include <vector>

#include "lib/migrate/lint.hpp"

namespace codops::migrate {

std::vector<Finding> walk(const Script& script, const LintOptions& options);

}  // namespace codops::migrate
