#include "lib/health/run.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include "lib/base/units.hpp"
#include "lib/health/attempt.hpp"
#include "lib/health/capacity.hpp"
#include "lib/health/silence.hpp"
#include "lib/health/verdict.hpp"
#include "lib/io/shown_word.hpp"

namespace codops::health {
namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::microseconds;

class Run {
 public:
  Run(const std::vector<Check>& checks, const Options& options, const Limits& limits)
      : checks_{checks}, options_{options}, limits_{limits}, capacity_{capacity_now()},
        network_{capacity_.lookups, options.lookup, limits}, items_(checks.size()), outcomes_(checks.size()) {
    // Measured again: the loop and curl have opened files of their own.
    if (std::any_of(checks.begin(), checks.end(), [](const Check& check) { return std::holds_alternative<HttpCheck>(check.what); })) network_.http();
    capacity_ = capacity_now();
  }

  Report run() {
    Report report;
    report.started = std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now());
    start_ = Clock::now();
    prepare();
    start_what_fits();
    const auto end = unsettled_ == 0 ? io::EventLoop::End::stopped : network_.loop.run(limits_);
    if (end == io::EventLoop::End::deadline) report.ended_by = Exit::deadline;
    if (end == io::EventLoop::End::cancelled) report.ended_by = why_cancelled();
    if (report.ended_by) cut_all(*report.ended_by);
    report.elapsed = std::chrono::duration_cast<Microseconds>(Clock::now() - start_);
    report.outcomes = std::move(outcomes_);
    return report;
  }

 private:
  struct Item {
    std::vector<bool> history;
    std::vector<std::size_t> children;
    std::size_t parents_left{0};
    std::unique_ptr<io::Probe> probe;
    std::optional<io::EventLoop::Timer> timer;
    Clock::time_point attempt_start;
    std::size_t files{0};
    int times_busy{0};
    bool settled{false};
  };

  // A name that is a URL is one in the wrong place.
  static std::string shown_name(const std::string& name) { return name.find("://") == std::string::npos ? name : io::shown_word(name); }

  void prepare() {
    std::map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < checks_.size(); ++i) index[checks_[i].name] = i;
    unsettled_ = checks_.size();
    for (std::size_t i = 0; i < checks_.size(); ++i) {
      auto& item = items_[i];
      outcomes_[i].name = readable(shown_name(checks_[i].name));
      outcomes_[i].kind = kind_of(checks_[i]);
      outcomes_[i].target = readable(target_of(checks_[i]));
      item.parents_left = checks_[i].after.size();
      for (const auto& parent : checks_[i].after) items_[index[parent]].children.push_back(i);
      if (item.parents_left == 0) ready_.push_back(i);
    }
  }

  // A check that would never fit (one descriptor left) still runs when nothing else does.
  void start_what_fits() {
    while (!ready_.empty()) {
      const auto next = ready_.front();
      const auto files = files_of(checks_[next]);
      if (in_flight_ >= options_.parallel || in_flight_ >= most_in_flight_) return;
      if (in_flight_ > 0 && files_in_use_ + files > capacity_.files) return;
      ready_.pop_front();
      start(next, files);
    }
  }

  void start(std::size_t i, std::size_t files) {
    auto& item = items_[i];
    item.files = files;
    files_in_use_ += files;
    ++in_flight_;
    item.attempt_start = Clock::now();
    item.timer = network_.loop.at(item.attempt_start + checks_[i].timeout, [this, i] { timed_out(i); });
    item.probe = start_attempt(network_, checks_[i], [this, i](Answer answer) { answered(i, std::move(answer)); });
  }

  void release(Item& item) {
    if (item.timer) network_.loop.cancel(*item.timer);
    item.timer.reset();
    files_in_use_ -= item.files;
    --in_flight_;
    // We are inside a callback of that very probe.
    if (graveyard_.empty()) network_.loop.after(Milliseconds{0}, [this] { bury(); });
    graveyard_.push_back(std::move(item.probe));
  }

  // Room is only made by closing: the next attempts start once the last ones' descriptors are gone.
  void bury() {
    graveyard_.clear();
    start_what_fits();
  }

  void answered(std::size_t i, Answer answer) {
    auto& item = items_[i];
    release(item);
    if (answer.busy) return again_later(i, std::move(answer));
    take(i, std::move(answer));
    decide_on(i);
  }

  void timed_out(std::size_t i) {
    auto& item = items_[i];
    item.timer.reset();
    Answer answer;
    answer.facts.times = item.probe->times();
    answer.facts.address = item.probe->address();
    answer.finding = silent(checks_[i], silence_of(*item.probe), "within " + format_duration(checks_[i].timeout));
    release(item);
    take(i, std::move(answer));
    decide_on(i);
  }

  static Silence silence_of(const io::Probe& probe) { return {probe.stage(), probe.waits_for()}; }

  // No descriptor for it: fewer at once from now on, and again when one was given back.
  void again_later(std::size_t i, Answer answer) {
    auto& item = items_[i];
    most_in_flight_ = std::max<std::size_t>(1, std::min(most_in_flight_, in_flight_ * 3 / 4));
    if (++item.times_busy > 100) {
      take(i, std::move(answer));
      return settle(i);
    }
    if (in_flight_ > 0) {
      ready_.push_front(i);
    } else {
      network_.loop.after(Milliseconds{20}, [this, i] {
        ready_.push_front(i);
        start_what_fits();
      });
    }
  }

  void take(std::size_t i, Answer answer) {
    auto& outcome = outcomes_[i];
    ++outcome.attempts;
    outcome.status = answer.finding.status;
    outcome.stage = answer.finding.stage;
    outcome.message = readable(io::shown_text(answer.finding.message));
    outcome.hint = readable(answer.finding.hint);
    outcome.elapsed = std::chrono::duration_cast<Microseconds>(Clock::now() - items_[i].attempt_start);
    outcome.times = answer.facts.times;
    if (!answer.facts.address.empty()) outcome.address = answer.facts.address;
    outcome.tls = std::move(answer.facts.tls);
    outcome.http_status = answer.facts.http_status;
    outcome.http_version = answer.facts.http_version;
    outcome.captured = std::move(answer.facts.captured);
    outcome.metrics = std::move(answer.finding.metrics);
  }

  void decide_on(std::size_t i) {
    auto& item = items_[i];
    const auto& check = checks_[i];
    const auto status = outcomes_[i].status;
    item.history.push_back(status == Status::ok || status == Status::warn);
    switch (decide(item.history, check.failures, check.successes)) {
      case Decision::well: return settle(i);
      case Decision::failing: return settle(i);
      case Decision::flapping: {
        const auto failed = std::count(item.history.begin(), item.history.end(), false);
        outcomes_[i].status = Status::fail;
        outcomes_[i].message = fmt::format("flapping: {} of {} attempts failed{}", failed, item.history.size(),
                                           outcomes_[i].message.empty() ? "" : ", the last: " + outcomes_[i].message);
        return settle(i);
      }
      case Decision::more: break;
    }
    // Doubled with every failure in a row; a success starts over.
    auto pause = check.pause;
    for (auto it = item.history.rbegin() + 1; it != item.history.rend() && !*it && pause < check.pause * 16; ++it) pause *= 2;
    item.timer = network_.loop.after(pause, [this, i] {
      items_[i].timer.reset();
      ready_.push_back(i);
      start_what_fits();
    });
  }

  void settle(std::size_t i) {
    auto& item = items_[i];
    if (item.settled) return;
    item.settled = true;
    --unsettled_;
    slow_is_a_warning(i);
    const auto& outcome = outcomes_[i];
    if (options_.on_outcome) options_.on_outcome(outcome);
    const bool well = outcome.status == Status::ok || outcome.status == Status::warn;
    for (const auto child : item.children) {
      auto& waiting = items_[child];
      if (waiting.settled) continue;
      if (!well) {
        outcomes_[child].status = Status::skipped;
        outcomes_[child].message = "skipped: \"" + root_cause(i) + "\" " + (outcome.status == Status::unknown ? "is not known" : "failed");
        settle(child);
      } else if (--waiting.parents_left == 0) {
        ready_.push_back(child);
      }
    }
    if (unsettled_ == 0) return network_.loop.stop();
    start_what_fits();
  }

  // The first of a chain that failed: what a reader should look at.
  std::string root_cause(std::size_t i) const {
    if (outcomes_[i].status != Status::skipped) return outcomes_[i].name;
    for (const auto& parent : checks_[i].after) {
      for (std::size_t j = 0; j < checks_.size(); ++j) {
        if (checks_[j].name != parent || !items_[j].settled) continue;
        const auto status = outcomes_[j].status;
        if (status == Status::fail || status == Status::unknown || status == Status::skipped) return root_cause(j);
      }
    }
    return outcomes_[i].name;
  }

  void slow_is_a_warning(std::size_t i) {
    auto& outcome = outcomes_[i];
    const auto seconds = [](auto duration) { return std::chrono::duration<double>(duration).count(); };
    if (outcome.attempts > 0) {
      Metric time{"time", seconds(outcome.elapsed), "s", std::nullopt, seconds(checks_[i].timeout), 0, std::nullopt};
      if (checks_[i].warn_after) time.warn = seconds(*checks_[i].warn_after);
      outcome.metrics.insert(outcome.metrics.begin(), time);
    }
    if (outcome.status != Status::ok || !checks_[i].warn_after || outcome.elapsed < *checks_[i].warn_after) return;
    outcome.status = Status::warn;
    outcome.stage = io::Stage::request;
    outcome.message = "slow: " + format_duration(std::chrono::duration_cast<Milliseconds>(outcome.elapsed));
  }

  Exit why_cancelled() const {
    try {
      limits_.cancel.check();
    } catch (const Failure& failure) {
      return failure.code();
    }
    return Exit::interrupted;
  }

  // What had not ended: the stage that it hung in, or that it never came to its turn.
  void cut_all(Exit why) {
    const std::string when = why == Exit::deadline ? "when the deadline came" : "when the run was interrupted";
    for (std::size_t i = 0; i < items_.size(); ++i) {
      auto& item = items_[i];
      if (item.settled) continue;
      auto& outcome = outcomes_[i];
      outcome.cut = true;
      if (item.probe) {
        const bool failing = !item.history.empty() && !item.history.back();
        outcome.times = item.probe->times();
        outcome.elapsed = std::chrono::duration_cast<Microseconds>(Clock::now() - item.attempt_start);
        if (auto address = item.probe->address(); !address.empty()) outcome.address = address;
        if (failing) {  // the last complete attempt says more
          if (options_.on_outcome) options_.on_outcome(outcome);
          continue;
        }
        ++outcome.attempts;
        // One that waited for its turn was not given the time that it may take.
        constexpr Milliseconds soon{100};
        const bool came_late = item.history.empty() && item.attempt_start - start_ > soon && outcome.elapsed < checks_[i].timeout;
        auto found = cut(checks_[i], silence_of(*item.probe), when, why == Exit::deadline && !came_late);
        outcome.status = found.status;
        outcome.stage = found.stage;
        outcome.message = readable(io::shown_text(found.message));
        outcome.hint = why == Exit::deadline ? std::move(found.hint) : "";
      } else if (item.history.empty()) {
        outcome.status = Status::unknown;
        outcome.stage = io::Stage::deadline;
        outcome.message = "it had not come to its turn " + when;
        outcome.hint = why == Exit::deadline ? "give the run longer: --timeout" : "";
      } else if (item.history.back()) {
        outcome.status = Status::unknown;
        outcome.stage = io::Stage::deadline;
        outcome.message = fmt::format("{} of {} successes in a row {}", trailing(item.history), checks_[i].successes, when);
      }
      if (options_.on_outcome) options_.on_outcome(outcome);
    }
  }

  static int trailing(const std::vector<bool>& history) {
    int count = 0;
    for (auto it = history.rbegin(); it != history.rend() && *it == history.back(); ++it) ++count;
    return count;
  }

  const std::vector<Check>& checks_;
  const Options& options_;
  Limits limits_;
  Capacity capacity_;
  Clock::time_point start_;
  Network network_;
  std::vector<Item> items_;  // after network_: probes go first
  std::vector<Outcome> outcomes_;
  std::vector<std::unique_ptr<io::Probe>> graveyard_;
  std::deque<std::size_t> ready_;
  std::size_t in_flight_{0}, files_in_use_{0}, unsettled_{0};
  std::size_t most_in_flight_{SIZE_MAX};
};

}  // namespace

Report run(const std::vector<Check>& checks, const Options& options, const Limits& limits) {
  check_order(checks);
  auto report = Run{checks, options, limits}.run();
  return options.settle ? options.settle(std::move(report)) : report;
}

}  // namespace codops::health
