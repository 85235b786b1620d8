#pragma once
// Steps that are run side by side as far as they don't need each other. A failed one blocks those that need it; the others
// finish.
#include <functional>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/reporter.hpp"

namespace codops::scaffold::dev {

// initdb, npm and servers in containers end with 1 whatever it was: only their words tell a full disk from the rest.
bool is_full_disk(std::string_view evidence);
inline constexpr const char* full_disk_hint = "make room on the disk, then codops setup-dev";

struct Finding {
  bool satisfied{};
  std::string text;               // "node 20.11.1, npm 10.2", or what is missing
  std::string hint;               // of what only a person can mend
  std::vector<std::string> lines; // more to show
};

using Progress = std::function<void(std::string)>;

struct Step {
  std::string name;                 // "install:backend"
  std::vector<std::string> needs;   // names; absent ones count as done
  // Reads only. Throws Failure when it can't be told.
  std::function<Finding(const Limits&)> check;
  // Does what check found missing; returns what to show. Null: only a person can.
  std::function<std::string(const Progress&, const Limits&)> act;
};

enum class Ending { unchanged, done, wanted, failed, blocked };
std::string_view name_of(Ending ending);

struct StepResult {
  std::string name;
  Ending ending{Ending::blocked};
  std::string text, hint;
  std::vector<std::string> lines;
  Milliseconds elapsed{};
  Exit code{Exit::ok};
};

struct GraphOptions {
  bool check_only{};
  std::size_t parallel{4};
};

// Results in the order of `steps`. Never throws for a step; a cancellation shows as failures with its code.
std::vector<StepResult> run_steps(const std::vector<Step>& steps, const GraphOptions& options, Reporter& reporter, const Clock& clock, const Limits& limits);

struct Chosen {
  std::vector<Step> steps;
  std::vector<std::string> left_out;  // by `skip`, of what would have been run
};
// The steps to run: `only` (a name, or the part before ":") with all they need; without `skip`. Throws Failure{usage} for an
// unknown name, and where `skip` leaves nothing of one that `only` names.
Chosen choose_steps(std::vector<Step> steps, const std::vector<std::string>& only, const std::vector<std::string>& skip);

}  // namespace codops::scaffold::dev
