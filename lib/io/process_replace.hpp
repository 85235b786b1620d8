#pragma once
// Becoming another program: for `codops … -- COMMAND`, whose process id, terminal and signals are then the command's.
#include <map>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/types.h>

#include "lib/base/secret.hpp"

namespace codops::io {

// What codops changed of its own process, and the caller's program starts with.
struct Inherited {
  mode_t umask{022};
  rlim_t core{0};  // the soft limit of a core file
};

// Returns only by throwing: Failure{usage} when the program is not found, Failure{unavailable} when it can't be run.
// Signals are as the caller of codops had them. `variables` are put over ours.
[[noreturn]] void replace_process(const std::vector<std::string>& argv, const Inherited& inherited, const std::map<std::string, Secret>& variables = {});

}  // namespace codops::io
