#pragma once
// Waiting between attempts: exponential backoff with jitter, bounded by Limits and woken by cancellation.
#include <cstdint>

#include "lib/base/cancel.hpp"

namespace codops {

class Backoff {
 public:
  Backoff(Milliseconds first, Milliseconds longest, std::uint64_t seed = 0);
  // Waits for the next pause (50–100 % of it, at random). False: the deadline comes first. Throws when cancelled.
  bool wait(const Limits& limits);
  Milliseconds next();  // the pause that wait() would take; advances

 private:
  Milliseconds pause_, longest_;
  std::uint64_t random_;
};

}  // namespace codops
