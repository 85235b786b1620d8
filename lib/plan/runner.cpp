#include "lib/plan/runner.hpp"

#include <fmt/format.h>

#include <future>

#include "lib/plan/fault.hpp"

namespace codops::plan {
namespace {

Action& action_of(const Run& run, const Step& step) {
  const auto found = run.actions.find(step.kind);
  if (found == run.actions.end()) throw Failure{Exit::bug, fmt::format("no action runs steps of kind \"{}\"", step.kind)};
  return *found->second;
}

bool is_cancellation(Exit code) {
  return code == Exit::interrupted || code == Exit::terminated || code == Exit::deadline;
}

Milliseconds since(const Run& run, std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<Milliseconds>(run.clock.steady() - start);
}

Phase phase_before(const Plan& plan, std::size_t index) {
  return index == 0 ? Phase::before : plan.steps[index - 1].phase;
}

// That a step is being undone is worth a line, and the way back must not end because there is no room for it: what was
// begun is in the journal, and undoing twice does no harm.
void journal_undo(const Run& run, const Step& step, const Limits& limits) {
  try {
    run.journal.write("undoing", step.name, {}, limits);
  } catch (const Failure& failure) {
    if (failure.code() == Exit::locked) throw;
    limits.check("the undo");
    if (run.still_holding) run.still_holding();
    run.reporter.warn(fmt::format("the journal could not be written ({}); undoing {} all the same", failure.message(), step.name));
  }
}

// The way back's own time is over: whoever was being waited for is not the reason.
std::string why_not_undone(const Failure& failure, const Limits& limits, Milliseconds given) {
  if (failure.code() != Exit::deadline || !limits.deadline.expired()) return failure.message();
  return fmt::format("the {} s that the whole way back may take were over before it was done", given.count() / 1000);
}

// Undoes the steps 0..last in reverse and completes `outcome`. `given`: the time that `limits` began with.
void go_back(const Run& run, std::size_t last, const Record* record, const Limits& limits, Milliseconds given, Outcome& outcome) {
  const Faults faults;
  bool failed = false;
  for (std::size_t index = last + 1; index-- > 0;) {
    const Step& step = run.plan.steps[index];
    if (!step.mutates) continue;
    if (record != nullptr && record->was_undone(step.name)) continue;
    if (step.undo.empty()) {
      if (!step.no_undo.empty()) outcome.not_undone.push_back(step.name + ": " + step.no_undo);
      continue;
    }
    const auto start = run.clock.steady();
    try {
      journal_undo(run, step, limits);
      faults.at("undo", step.name);
      action_of(run, step).undo(step, limits);
      outcome.undone.push_back(step.name);
      run.reporter.report({Event::Kind::undone, step.name, step.undo, {}, since(run, start), {}, {}});
    } catch (const Failure& failure) {
      failed = true;
      outcome.undo_cut_off = outcome.undo_cut_off || limits.deadline.expired();
      const auto why = why_not_undone(failure, limits, given);
      outcome.not_undone.push_back(step.name + ": " + why);
      run.reporter.report({Event::Kind::failed, step.name, "undo: " + why, {}, since(run, start), {}, {}});
      if (failure.code() == Exit::locked) break;  // somebody else holds the lock now: hands off
      // Traffic could not be moved back, so it may still go where the steps before would take something away.
      if (step.phase == Phase::before) continue;
      for (std::size_t rest = index; rest-- > 0;) {
        if (run.plan.steps[rest].mutates) outcome.not_undone.push_back(run.plan.steps[rest].name + ": left, traffic may depend on it");
      }
      break;
    }
  }
  if (failed) outcome.exit = Exit::undo_failed;
}

// The run's own time is over: whoever was being waited for is not the reason.
Failure explained(const Run& run, const Step& step, const Failure& failure) {
  if (failure.code() != Exit::deadline || !run.limits.deadline.expired()) return failure;
  return {failure.code(), fmt::format("the time that the whole command was given (--timeout) was over while step {} was at work", step.name), "give it longer"};
}

// Written before the step begins. Where a step has nothing to undo, and does not say that it leaves something, it changes nothing (the
// monitor window): its entry only says how far the run came, and is written while it runs.
std::future<void> journal_step(const Run& run, const Step& step) {
  const auto write = [&run, &step] { run.journal.write("doing", step.name, step.text, run.limits); };
  if (step.undo.empty() && step.no_undo.empty()) return std::async(std::launch::async, write);
  write();
  return {};
}

Outcome run_from(const Run& run, std::size_t first, bool first_was_begun) {
  for (const auto& step : run.plan.steps) action_of(run, step);
  const Faults faults;
  Outcome outcome;
  for (std::size_t index = first; index < run.plan.steps.size(); ++index) {
    const Step& step = run.plan.steps[index];
    const auto start = run.clock.steady();
    bool begun = false;
    try {
      run.limits.check("step \"" + step.name + "\"");
      std::future<void> written;
      if (step.mutates && !(index == 0 && run.first_written)) written = journal_step(run, step);
      begun = true;
      faults.at("before", step.name);
      // The process may have been stopped since that entry was written.
      if (step.mutates && run.still_holding) run.still_holding();
      run.reporter.report({Event::Kind::started, step.name, step.text, {}, {}, {}, {}});
      Action& action = action_of(run, step);
      const bool again = first_was_begun && index == first;
      const auto text = again ? action.resume(step, run.limits) : action.perform(step, run.limits);
      if (written.valid()) written.get();
      faults.at("after", step.name);
      outcome.timings.push_back({step.name, since(run, start)});
      run.reporter.report({Event::Kind::done, step.name, text, {}, since(run, start), {}, {}});
    } catch (const Failure& caught) {
      const auto failure = explained(run, step, caught);
      outcome.timings.push_back({step.name, since(run, start)});
      outcome.failed_step = step.name;
      outcome.failed_index = static_cast<int>(index);
      outcome.failure = failure;
      run.reporter.report({Event::Kind::failed, step.name, failure.message(), {}, since(run, start), {}, {}});
      const bool cancelled = is_cancellation(failure.code());
      const bool by_this_step = begun && step.phase != Phase::before && dynamic_cast<const NothingMoved*>(&caught) == nullptr;
      // Where nothing served before, there was no traffic to move.
      const bool moved = run.plan.from != 0 && (by_this_step || phase_before(run.plan, index) != Phase::before);
      outcome.exit = cancelled ? failure.code() : (moved ? Exit::moved_back : Exit::failed);
      const bool by_signal = failure.code() == Exit::interrupted || failure.code() == Exit::terminated;
      const auto signal_deadline = Deadline::after(run.undo_time_after_signal);
      if (run.save_evidence && begun) run.save_evidence(step, failure);
      // The cancelled token would stop the undo as well: it gets a time of its own.
      const Limits back{by_signal ? signal_deadline : Deadline::after(run.undo_time), {}};
      if (failure.code() == Exit::locked) {
        outcome.exit = Exit::locked;
        outcome.not_undone.push_back("the lock was lost: whoever holds it now recovers this run");
      } else if (begun || index > 0) {
        // Without its entry it did nothing, so there is nothing of it to undo.
        go_back(run, begun ? index : index - 1, nullptr, back, by_signal ? run.undo_time_after_signal : run.undo_time, outcome);
      }
      return outcome;
    }
  }
  outcome.done = true;
  return outcome;
}

}  // namespace

Outcome run(const Run& run) { return run_from(run, 0, false); }

Outcome finish_forward(const Run& run, std::size_t first) { return run_from(run, first, true); }

Outcome undo_all(const Run& run, std::size_t last, const Record* record) {
  Outcome outcome;
  outcome.exit = Exit::ok;
  go_back(run, last, record, {Deadline::after(run.undo_time), run.limits.cancel}, run.undo_time, outcome);
  outcome.done = outcome.exit == Exit::ok;
  return outcome;
}

}  // namespace codops::plan
