#pragma once
// How many probes may be in flight: files that this process may open, less what it has open.
#include <cstddef>

namespace codops::health {

struct Capacity {
  std::size_t files;    // for probes
  std::size_t lookups;  // threads that look names up, each with files of its own set aside
};

// `limit`: RLIMIT_NOFILE; `open`: in use now. Pure.
Capacity share_out(std::size_t limit, std::size_t open);
Capacity capacity_now();

}  // namespace codops::health
