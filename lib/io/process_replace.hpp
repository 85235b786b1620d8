#pragma once
// Becoming another program: for `codops … -- COMMAND`, whose process id, terminal and signals are then the command's.
#include <string>
#include <vector>

#include <sys/types.h>

namespace codops::io {

// Returns only by throwing: Failure{usage} when the program is not found, Failure{unavailable} when it can't be run.
// `umask` is what the program starts with; signals are as the caller of codops had them.
[[noreturn]] void replace_process(const std::vector<std::string>& argv, mode_t umask);

}  // namespace codops::io
