#pragma once
// A container of its own for one command: `codops run`, and hooks inside an image.
#include <functional>
#include <string>

#include "lib/ops/host.hpp"
#include "lib/ops/observed.hpp"
#include "lib/ops/requests.hpp"
#include "lib/release/release.hpp"
#include "lib/target/containers.hpp"

namespace codops::ops {

// Made from the service's stored definition (no ports, no restarts), on its networks and the traffic network, removed
// afterwards whatever happens. `release`: null for the one that serves. Returns the exit code.
int run_one_off(Host& host, const OneOff& one_off, const release::Release* release, const Limits& limits,
                const target::ExecStreams& streams = {});

// Containers of `codops run` whose process was killed, as far as that can be told from here (this machine, this boot, this PID namespace).
std::vector<Observed::OneOffContainer> left_by_the_dead(const Observed& observed);

// The same, resting, while `act` runs with the container's name.
void with_resting_one_off(Host& host, const OneOff& one_off, const Limits& limits, const std::function<void(const std::string&)>& act);

}  // namespace codops::ops
