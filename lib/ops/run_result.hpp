#pragma once
// How a changing command went, whichever engine it ran on.
#include <map>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/plan/runner.hpp"
#include "lib/release/release.hpp"

namespace codops::ops {

struct RunResult {
  bool no_op{false};
  Exit exit{Exit::ok};
  plan::Plan plan;
  plan::Outcome outcome;
  release::HistoryEntry entry;
  std::string evidence;                // JSON; empty when nothing failed
  bool recorded{true};                 // false: the history does not have it; the next command's recovery writes it
  std::vector<std::string> last_lines; // of the container that failed
  Milliseconds elapsed{};      // of the whole command, from its first look to the end of its hooks
  Milliseconds waited{};       // for the lock, images, an answer
  Milliseconds after_hooks{};
  std::vector<std::string> failed_hooks;  // of those that follow the outcome, and why; they change nothing of it
  std::map<std::string, Milliseconds> engine_time;
  int front_door_asked{}, front_door_answered{};
};

struct Recovery {
  bool needed{false};
  bool forward{false};  // finished; else undone
  std::string undone;   // the verb of the run that was undone: "deploy"
  std::string text;     // "finished deploy v1.1.0 (release 13), which died at step stop"
};

enum class RecoveryWay {
  in_passing,  // as best, before a command's own work: what served before and does not get ready after an undo is said, and not in its way
  best,        // `resume`: forward where the whole new set serves, else back
  back,        // `abort`: never forward
};

}  // namespace codops::ops
