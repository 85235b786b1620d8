#pragma once
// A program that outlives codops: a development server. Everything else that codops starts dies with it (process.hpp).
#include <sys/types.h>

#include "lib/io/process.hpp"

namespace codops::io {

// Starts it in a session of its own with `in` and `out` (also its stderr) as descriptors of ours; -1 is /dev/null. Returns
// its pid once it was executed; it is nobody's child here, so only a pidfd tells when it ends. Failure{unavailable}
// when it can't be found or started. `pass` and `grace` of the program are not used.
pid_t start_detached(const Program& program, int in, int out);

}  // namespace codops::io
