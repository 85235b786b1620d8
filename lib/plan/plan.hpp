#pragma once
// A plan is pure data made from what was observed: the same value is printed by --dry-run, journalled, run, and read
// again by the command that recovers after a crash.
#include <nlohmann/json_fwd.hpp>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/failure.hpp"

namespace codops::plan {

// State that a later codops wrote: never touched, because half understood is worse than not read.
class NewerFormat : public Failure {
 public:
  NewerFormat(std::string_view what, int found, int known);
};

// How far a failed or interrupted run can still go forward instead of back.
enum class Phase {
  before,  // nothing a user of the application sees has changed
  moved,   // traffic may have moved to the new set
  proven,  // the whole new set serves and was proven: recovery finishes forward from here
};

struct Step {
  std::string name;   // "start": unique within its plan
  std::string kind;   // which action runs it: a key of the executor's table
  std::string text;   // for people: "backend ×3"
  std::string args;   // JSON object that the action reads; never holds a secret
  bool mutates{true}; // journalled before it runs
  std::string undo;   // for people: "remove"; empty when there is none
  std::string no_undo; // why there is no undo; empty when there is one
  Phase phase{Phase::before};  // reached once this step has ended
};

struct Plan {
  std::string verb;         // "deploy"
  std::string environment;
  std::string run;          // the fencing token of the run that made it
  int release{};            // the release it makes or goes to
  int from{};               // the release that served before; 0: none
  std::string version, from_version;
  std::vector<std::string> notes;     // what a reader should know
  std::vector<std::string> warnings;  // what a reader should act on: "not zero-downtime", …
  std::vector<std::string> downtime;  // why requests may fail; needs --allow-downtime without a terminal
  std::vector<Step> steps;
  std::vector<std::string> untouched; // services left alone
  std::string context;  // JSON object: what recovery and record need beside the steps

  bool empty() const { return steps.empty(); }
};

// Readable by later versions: unknown keys are ignored, a newer `format` is refused with Failure{data}.
std::string to_json(const Plan& plan);
Plan from_json(const std::string& text);

// The numbered steps as UX shows them: "   3  start    + backend ×3      undo: remove".
std::string steps_text(const Plan& plan);

}  // namespace codops::plan
