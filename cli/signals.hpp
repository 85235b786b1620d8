#pragma once
// SIGINT, SIGTERM and SIGHUP ask the run to stop; the second of them ends the process at once, with 128 + its number.
#include "lib/base/cancel.hpp"

namespace codops::cli {

class Signals {
 public:
  explicit Signals(CancelSource& source);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();
};

// No core dumps and no attaching: secrets are in memory. Files are private unless said otherwise; returns the umask
// that the caller had.
unsigned harden_process();

}  // namespace codops::cli
