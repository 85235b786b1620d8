#include "lib/scaffold/dev/step_graph.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "lib/plan/fault.hpp"

namespace codops::scaffold::dev {
namespace {

class Run {
 public:
  Run(const std::vector<Step>& steps, const GraphOptions& options, Reporter& reporter, const Clock& clock, const Limits& limits)
      : steps_{steps}, options_{options}, reporter_{reporter}, clock_{clock}, limits_{limits}, results_(steps.size()), states_(steps.size(), State::waiting) {
    for (std::size_t i = 0; i < steps.size(); ++i) results_[i].name = steps[i].name;
  }

  std::vector<StepResult> go() {
    std::vector<std::thread> threads;
    std::unique_lock lock{mutex_};
    for (;;) {
      std::size_t running = 0, waiting = 0;
      for (std::size_t i = 0; i < steps_.size(); ++i) {
        if (states_[i] == State::waiting) settle(i);
        running += states_[i] == State::running ? 1U : 0U;
      }
      for (std::size_t i = 0; i < steps_.size(); ++i) {
        if (states_[i] == State::ready && running < options_.parallel) {
          states_[i] = State::running;
          ++running;
          threads.emplace_back([this, i] { work(i); });
        }
        waiting += states_[i] == State::waiting || states_[i] == State::ready ? 1U : 0U;
      }
      if (running == 0 && waiting == 0) break;
      if (running == 0) throw Failure{Exit::bug, "steps of setup-dev wait for each other"};
      changed_.wait(lock);
    }
    lock.unlock();
    for (auto& thread : threads) thread.join();
    return std::move(results_);
  }

 private:
  enum class State { waiting, ready, running, good, bad };

  // Waiting until all that it needs has ended; blocked when one of them ended badly.
  void settle(std::size_t index) {
    bool ready = true;
    for (const auto& need : steps_[index].needs) {
      const auto found = std::find_if(steps_.begin(), steps_.end(), [&](const Step& one) { return one.name == need; });
      if (found == steps_.end()) continue;
      const auto state = states_[static_cast<std::size_t>(found - steps_.begin())];
      if (state == State::bad) {
        block(index, need);
        return;
      }
      ready = ready && state == State::good;
    }
    if (ready) states_[index] = State::ready;
  }

  void block(std::size_t index, const std::string& need) {
    auto& result = results_[index];
    result.ending = Ending::blocked;
    result.text = fmt::format("needs {}", need);
    states_[index] = State::bad;
    reporter_.report({Event::Kind::skipped, result.name, result.text, {}, {}, {}, {}});
    // Those that need this one are looked at again.
    changed_.notify_all();
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (states_[i] == State::waiting) settle(i);
    }
  }

  void work(std::size_t index) {
    const auto& step = steps_[index];
    auto result = results_[index];
    const auto begun = clock_.steady();
    const auto elapsed = [&] { return std::chrono::duration_cast<Milliseconds>(clock_.steady() - begun); };
    try {
      limits_.check(step.name);
      perform(step, result);
    } catch (const Failure& failure) {
      set_failed(result, failure);
    } catch (const std::exception& error) {
      set_failed(result, Failure{Exit::bug, error.what()});
    }
    result.elapsed = elapsed();
    tell(result);
    const std::lock_guard guard{mutex_};
    states_[index] = result.ending == Ending::unchanged || result.ending == Ending::done ? State::good : State::bad;
    results_[index] = std::move(result);
    changed_.notify_all();
  }

  void perform(const Step& step, StepResult& result) {
    const auto finding = step.check(limits_);
    result.text = finding.text;
    result.hint = finding.hint;
    result.lines = finding.lines;
    if (finding.satisfied) {
      result.ending = Ending::unchanged;
    } else if (options_.check_only) {
      result.ending = Ending::wanted;
      result.code = Exit::unhealthy;
    } else if (!step.act) {
      result.ending = Ending::failed;
      result.code = Exit::failed;
    } else {
      reporter_.report({Event::Kind::started, step.name, finding.text, {}, {}, {}, {}});
      // Points of a fault have no colon: "before:install-backend".
      auto point = step.name;
      std::replace(point.begin(), point.end(), ':', '-');
      faults_.at("before", point);
      result.text = step.act([&](std::string text) { reporter_.report({Event::Kind::progress, step.name, std::move(text), {}, {}, {}, {}}); }, limits_);
      faults_.at("after", point);
      result.ending = Ending::done;
      result.hint.clear();
      result.lines.clear();
    }
  }

  // Lines under a message ("\n  │ …") are its evidence.
  static void set_failed(StepResult& result, const Failure& failure) {
    result.ending = Ending::failed;
    result.code = failure.code();
    result.hint = is_full_disk(failure.message()) ? full_disk_hint : failure.hint();
    result.lines.clear();
    std::string_view rest{failure.message()};
    result.text = std::string{rest.substr(0, rest.find('\n'))};
    rest.remove_prefix(result.text.size());
    while (!rest.empty()) {
      rest.remove_prefix(1);
      auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(line.size());
      const auto from = line.find_first_not_of(' ');
      if (from != std::string_view::npos) line.remove_prefix(from);
      if (line.starts_with("│ ")) line.remove_prefix(std::string_view{"│ "}.size());
      result.lines.emplace_back(line);
    }
    while (!result.text.empty() && (result.text.back() == ':' || result.text.back() == ' ')) result.text.pop_back();
  }

  void tell(const StepResult& result) {
    auto kind = Event::Kind::failed;
    if (result.ending == Ending::unchanged) kind = Event::Kind::skipped;
    if (result.ending == Ending::done) kind = Event::Kind::done;
    auto details = result.lines;
    if (!result.hint.empty() && kind == Event::Kind::failed) details.push_back("fix: " + result.hint);
    std::optional<Milliseconds> took;
    if (result.ending == Ending::done || result.ending == Ending::failed) took = result.elapsed;
    reporter_.report({kind, result.name, result.text, std::move(details), took, {}, {}});
  }

  const plan::Faults faults_;
  const std::vector<Step>& steps_;
  const GraphOptions& options_;
  Reporter& reporter_;
  const Clock& clock_;
  const Limits& limits_;
  std::vector<StepResult> results_;
  std::vector<State> states_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

bool matches(const std::string& name, const std::string& word) { return name == word || name.substr(0, name.find(':')) == word; }

// `usual`: names that mean something elsewhere, though this checkout has no such step.
void require_known(const std::vector<Step>& steps, const std::vector<std::string>& words, const std::vector<std::string>& usual) {
  for (const auto& word : words) {
    if (std::find(usual.begin(), usual.end(), word) != usual.end()) continue;
    if (std::any_of(steps.begin(), steps.end(), [&](const Step& step) { return matches(step.name, word); })) continue;
    std::vector<std::string> names;
    for (const auto& step : steps) names.push_back(step.name);
    const auto near = nearest(word, names);
    throw Failure{Exit::usage, fmt::format("setup-dev has no step \"{}\"", word),
                  fmt::format("{}{}", near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near), fmt::format("here it has {}", fmt::join(names, ", ")))};
  }
}

// The names of those that `is_root` says, and of all that they need.
template <class IsRoot>
std::set<std::string> with_needs(const std::vector<Step>& steps, const IsRoot& is_root) {
  std::set<std::string> found;
  std::vector<std::string> open;
  for (const auto& step : steps) {
    if (is_root(step)) open.push_back(step.name);
  }
  while (!open.empty()) {
    const auto name = open.back();
    open.pop_back();
    if (!found.insert(name).second) continue;
    for (const auto& step : steps) {
      if (step.name == name) open.insert(open.end(), step.needs.begin(), step.needs.end());
    }
  }
  return found;
}

}  // namespace

bool is_full_disk(std::string_view evidence) {
  return evidence.find("No space left on device") != std::string_view::npos || evidence.find("ENOSPC") != std::string_view::npos ||
         evidence.find("Disk quota exceeded") != std::string_view::npos;
}

std::string_view name_of(Ending ending) {
  switch (ending) {
    case Ending::unchanged: return "unchanged";
    case Ending::done: return "done";
    case Ending::wanted: return "wanted";
    case Ending::failed: return "failed";
    case Ending::blocked: return "blocked";
  }
  return "blocked";
}

std::vector<StepResult> run_steps(const std::vector<Step>& steps, const GraphOptions& options, Reporter& reporter, const Clock& clock, const Limits& limits) {
  return Run{steps, options, reporter, clock, limits}.go();
}

Chosen choose_steps(std::vector<Step> steps, const std::vector<std::string>& only, const std::vector<std::string>& skip) {
  require_known(steps, only, {});
  require_known(steps, skip, {"tools", "ports", "env", "postgres", "redis", "install", "generate", "build", "database", "migrate", "seed"});
  const auto in = [](const std::vector<std::string>& words, const std::string& name) {
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) { return matches(name, word); });
  };
  for (const auto& one : only) {
    const bool left = std::any_of(steps.begin(), steps.end(), [&](const Step& step) { return matches(step.name, one) && !in(skip, step.name); });
    if (!left) throw Failure{Exit::usage, fmt::format("--only names \"{}\", and --skip leaves nothing of it", one), "leave one of them out"};
  }
  const auto wanted = with_needs(steps, [&](const Step& step) { return only.empty() || in(only, step.name); });
  Chosen chosen;
  for (const auto& step : steps) {
    if (wanted.count(step.name) == 0) continue;
    if (in(skip, step.name)) {
      chosen.left_out.push_back(step.name);
      continue;
    }
    auto taken = step;
    // What a step that is left out waits for, those behind it wait for as well.
    const auto before = with_needs(steps, [&](const Step& one) { return one.name == step.name; });
    for (const auto& other : steps) {
      const bool is_new = other.name != step.name && before.count(other.name) != 0 && std::find(taken.needs.begin(), taken.needs.end(), other.name) == taken.needs.end();
      if (is_new && !in(skip, other.name)) taken.needs.push_back(other.name);
    }
    chosen.steps.push_back(std::move(taken));
  }
  return chosen;
}

}  // namespace codops::scaffold::dev
