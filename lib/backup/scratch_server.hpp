#pragma once
// A PostgreSQL server for one drill: a cluster in a temporary folder, reachable through a socket there and by nobody
// else, gone when the object goes; what a killed drill left goes when the next begins. As root it runs as the user "postgres".
#include <memory>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/io/postgres.hpp"

namespace codops::backup {

// What every server for one drill is told: nothing there has to survive a crash. "fsync=off"
const std::vector<std::string>& scratch_settings();

class ScratchServer {
 public:
  // Whether this machine has the programs.
  static bool possible(int major);
  // Of a major at least `major`, of this machine's programs; Failure{unavailable} when there are none.
  ScratchServer(int major, const Limits& limits);
  ~ScratchServer();
  ScratchServer(const ScratchServer&) = delete;
  ScratchServer& operator=(const ScratchServer&) = delete;
  io::postgres::Target target() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace codops::backup
