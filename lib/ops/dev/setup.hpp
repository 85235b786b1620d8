#pragma once
// `codops setup-dev`: lock, look, decide, run the steps side by side, say what is true now.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/step_graph.hpp"

namespace codops::ops::dev {

struct Request {
  Inputs inputs;
  std::vector<std::string> only, skip;
  bool check_only{};          // reads only: takes no lock, writes nothing
  bool reset{};               // the data first
  bool remap{};               // agrees to every change of ports
  unsigned caller_umask{022};
  Milliseconds lock_wait{60'000};
  std::string command;        // as the one who waits is told
  // Asks a person; false: no, or nobody is there to ask.
  std::function<bool(const std::string&)> ask;
  // Before data is removed: throws Failure{usage} where nobody can answer.
  std::function<bool(const std::string&)> confirm;
};

struct Outcome {
  Exit exit{Exit::ok};
  std::vector<scaffold::dev::StepResult> steps;
  std::vector<std::string> left_out;  // steps that --skip took out of what would have been looked at
  std::vector<std::string> refused;   // logins of the .env files that this checkout's own servers refuse
  std::string text;  // the end: what is true now, what to type next
  std::string json;
};

Outcome set_up(const Request& request, Reporter& reporter, const Clock& clock, const Limits& limits);
// Stops what setup-dev started; data and files stay.
Outcome take_down(const Request& request, Reporter& reporter, const Limits& limits);

// --- pieces
// What a reset would lose, one line each; empty: nothing is there.
// Folders of this machine in which the stores' containers keep their data: --reset leaves them, and so what is in them.
std::vector<std::string> kept_folders(const Workspace& workspace);
std::vector<std::string> losses(const Workspace& workspace, const Limits& limits);
void remove_data(const Workspace& workspace, scaffold::dev::Ledger& ledger, const Limits& limits);
std::string summary_text(const Workspace& workspace, const Outcome& outcome, const Request& request);
std::string summary_json(const Workspace& workspace, const Outcome& outcome, const Request& request);

}  // namespace codops::ops::dev
