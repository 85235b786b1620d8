#pragma once
// Becoming another program: for `codops … -- COMMAND`, whose process id, terminal and signals are then the command's.
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "lib/base/secret.hpp"

namespace codops::io {

// Returns only by throwing: Failure{usage} when the program is not found, Failure{unavailable} when it can't be run.
// `umask` is what the program starts with; signals are as the caller of codops had them.
// `variables` are put over ours.
[[noreturn]] void replace_process(const std::vector<std::string>& argv, mode_t umask, const std::map<std::string, Secret>& variables = {});

}  // namespace codops::io
