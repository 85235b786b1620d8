#pragma once
// SIGINT, SIGTERM and SIGHUP ask the run to stop; the second of them ends the process at once, with 128 + its number.
#include <cstdint>

#include "lib/base/cancel.hpp"

namespace codops::cli {

class Signals {
 public:
  explicit Signals(CancelSource& source);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();
};

// What the caller had, and gets back where codops becomes another program.
struct Before {
  unsigned umask{022};
  std::uint64_t core{0};  // the soft limit of a core file
};
// No core dumps and no attaching: secrets are in memory. Files are private unless said otherwise.
Before harden_process();

}  // namespace codops::cli
