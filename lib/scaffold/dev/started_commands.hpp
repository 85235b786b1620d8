#pragma once
// The checkout's own programs (npm, a seed) that a run has started. A guard ends them when the run dies; should the guard be killed too,
// the next run finds what goes on by a word in its environment, which no other process has, whatever its number, group or parent is.
#include <mutex>
#include <string>
#include <vector>

#include "lib/scaffold/dev/ledger.hpp"

namespace codops::scaffold::dev {

class StartedCommands {
 public:
  static constexpr const char* variable = "SETUP_DEV_RUN";

  explicit StartedCommands(Ledger& ledger) : ledger_{ledger} {}
  // For the environment of a program that is about to start: on disk when this returns. Thread-safe.
  std::string mark();
  // Every program of this run has ended, or may go on.
  void over();

 private:
  Ledger& ledger_;
  std::mutex mutex_;
  std::string mark_;
};

// Ends what an earlier run that was killed has left running, and waits until it is gone. Returns whom: "node (pid 812)". Throws
// Failure{failed} when one of them does not end.
std::vector<std::string> end_left_commands(Ledger& ledger, const Limits& limits);

}  // namespace codops::scaffold::dev
