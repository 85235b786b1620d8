#pragma once
// Networks of a run: the user's, as the compose file defines them, and the one that traffic takes.
#include <string>
#include <vector>

#include "lib/ops/run_context.hpp"

namespace codops::ops {

const NamedObject* find_named(const std::vector<NamedObject>& objects, const std::string& name);

// By its definition in context.networks, else a bridge. False: it is there.
bool make_network(RunContext& context, const std::string& name, const Limits& limits);
// With that subnet ("172.20.0.0/16"), which addresses can be pinned in. False: it is there.
bool make_traffic(RunContext& context, const std::string& subnet, const Limits& limits);

}  // namespace codops::ops
