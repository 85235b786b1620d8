#pragma once
// A command in a container with the caller's own terminal.
#include <string>
#include <vector>

#include "lib/ops/host.hpp"
#include "lib/ops/one_off.hpp"

namespace codops::ops {

// Raw mode while it runs; window changes are passed on. Returns the exit code.
int exec_on_terminal(Host& host, const std::string& container, const std::vector<std::string>& argv, const std::string& user, const Limits& limits);
// A one-off container that rests while the command runs in it.
int run_on_terminal(Host& host, const OneOff& one_off, const Limits& limits);

}  // namespace codops::ops
