#pragma once
// Runs a plan: journals, runs each step, and on failure or cancellation undoes in reverse, the failed step included.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/reporter.hpp"
#include "lib/plan/journal.hpp"
#include "lib/plan/plan.hpp"

namespace codops::plan {

// Of a step that was to move traffic and is known not to have.
struct NothingMoved : Failure {
  using Failure::Failure;
};

// What carries out the steps of one kind. Undo must do nothing where there is nothing to undo, and bear a step that
// was begun and never ended: the process may have died inside it.
class Action {
 public:
  virtual ~Action() = default;
  // Returns what to show when done ("backend ×3 healthy"). Throws Failure.
  virtual std::string perform(const Step& step, const Limits& limits) = 0;
  virtual void undo(const Step& step, const Limits& limits) = 0;
  // Where a step was begun and the process died: may running it again finish it? By default it may.
  virtual std::string resume(const Step& step, const Limits& limits) { return perform(step, limits); }
};

// Finds the action of a kind; a missing kind is a bug and is found before the first step runs.
using Actions = std::map<std::string, Action*>;

struct Outcome {
  bool done{false};
  Exit exit{Exit::ok};        // failed, moved_back, undo_failed or the cancellation's code
  std::string failed_step;    // its name
  int failed_index{-1};
  std::optional<Failure> failure;
  std::vector<std::string> undone;    // names of steps, in the order of their undoing
  std::vector<std::string> not_undone; // "migrate: they stay": declared, or why the undo failed
  bool undo_cut_off{false};            // its time was over first
  struct Timing {
    std::string step;
    Milliseconds elapsed;
  };
  std::vector<Timing> timings;
};

struct Run {
  const Plan& plan;
  const Actions& actions;
  Journal& journal;
  Reporter& reporter;
  const Clock& clock;
  Limits limits;
  // Called before each step, and before an undo whose journal entry could not be written (a full disk); throws when the lock was lost.
  std::function<void()> still_holding;
  // Called after a step failed and before anything is undone: saves evidence. Never throws.
  std::function<void(const Step&, const Failure&)> save_evidence;
  Milliseconds undo_time{std::chrono::seconds{60}};
  // After a signal the whole way back, evidence included, has to fit into the seconds that CI leaves before its SIGKILL.
  Milliseconds undo_time_after_signal{std::chrono::seconds{7}};
  // The first step's entry is in the journal already: written together with the plan.
  bool first_written{false};
};

// From the first step.
Outcome run(const Run& run);
// After a crash: continues with the step at `first` (begun once already).
Outcome finish_forward(const Run& run, std::size_t first);
// After a crash: undoes every begun step, `last` and before.
Outcome undo_all(const Run& run, std::size_t last, const Record* record);

}  // namespace codops::plan
