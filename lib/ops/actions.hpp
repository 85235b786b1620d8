#pragma once
// The actions of a deploy, a rollback or a scaling, by the kind of their step.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/ops/run_context.hpp"
#include "lib/plan/runner.hpp"

namespace codops::ops {

// What a run does beside containers, given by the composition: backup, migrations and hooks live in rooms of their own.
struct Companions {
  std::function<std::string(const Limits&)> backup;   // takes and verifies one; returns what to show
  std::function<std::string(const Limits&)> migrate;  // applies what is pending from the new version
  std::function<std::string(std::size_t hook, const Limits&)> pre_hook;
};

class ActionSet {
 public:
  ActionSet(RunContext& context, Companions companions);
  ~ActionSet();
  const plan::Actions& table() const { return table_; }

 private:
  std::vector<std::unique_ptr<plan::Action>> owned_;
  plan::Actions table_;
};

// One factory an action; each in a file of its own.
std::unique_ptr<plan::Action> prepare_action(RunContext& context);
std::unique_ptr<plan::Action> start_action(RunContext& context);
std::unique_ptr<plan::Action> switch_action(RunContext& context);
std::unique_ptr<plan::Action> prove_action(RunContext& context);
std::unique_ptr<plan::Action> monitor_action(RunContext& context);
std::unique_ptr<plan::Action> drain_action(RunContext& context);
std::unique_ptr<plan::Action> stop_action(RunContext& context);

// Ten new connections through the front door; every one must be answered as readiness expects. Returns how many.
void ask_front_door(RunContext& context, int times, const Limits& limits);

}  // namespace codops::ops
