#pragma once
// What it amounts to that an answer did not come. Pure.
#include "lib/health/check.hpp"

namespace codops::health {

// Where its probe was.
struct Silence {
  io::Stage stage{io::Stage::none};
  std::string waits_for;  // of this machine: io::Probe::waits_for()
};

// An attempt that had its whole time. `when`: "within 5 s". Of a server or a command silence is a failure; a name server, an engine or a
// file of ours just did not tell.
Finding silent(const Check& check, const Silence& silence, const std::string& when);
// One that was cut. `when`: "when the deadline came". `had_its_turn`: it might have been answered by then.
Finding cut(const Check& check, const Silence& silence, const std::string& when, bool had_its_turn);

}  // namespace codops::health
