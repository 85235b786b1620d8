#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "lib/base/failure.hpp"
#include "lib/scaffold/dev/step_graph.hpp"
#include "tests/support/fakes.hpp"

using namespace codops;
using namespace codops::scaffold::dev;

namespace {

Step step(std::string name, std::vector<std::string> needs, bool satisfied, std::function<std::string()> act = [] { return std::string{"acted"}; }) {
  return {std::move(name), std::move(needs), [satisfied](const Limits&) { return Finding{satisfied, satisfied ? "is there" : "is missing", {}, {}}; },
          [act = std::move(act)](const Progress&, const Limits&) { return act(); }};
}

// Events come from several threads.
class Events final : public Reporter {
 public:
  void report(const Event& event) override {
    const std::lock_guard guard{mutex_};
    all.push_back(event);
  }
  std::vector<Event> all;

 private:
  std::mutex mutex_;
};

std::vector<StepResult> run(const std::vector<Step>& steps, bool check_only = false, const Limits& limits = {}) {
  Events events;
  return run_steps(steps, {check_only, 4}, events, SystemClock{}, limits);
}

}  // namespace

TEST_CASE("what is there is left alone, what is missing is made") {
  const auto results = run({step("a", {}, true), step("b", {"a"}, false)});
  CHECK(results[0].ending == Ending::unchanged);
  CHECK(results[0].text == "is there");
  CHECK(results[1].ending == Ending::done);
  CHECK(results[1].text == "acted");
}

TEST_CASE("a failed step blocks those that need it, and no others") {
  const auto results = run({step("a", {}, false, []() -> std::string { throw Failure{Exit::config, "broken:\n  │ line 1\n  │ line 2", "mend it"}; }),
                            step("b", {"a"}, false), step("c", {"b"}, false), step("d", {}, false)});
  CHECK(results[0].ending == Ending::failed);
  CHECK(results[0].code == Exit::config);
  CHECK(results[0].text == "broken");
  CHECK(results[0].lines == std::vector<std::string>{"line 1", "line 2"});
  CHECK(results[0].hint == "mend it");
  CHECK(results[1].ending == Ending::blocked);
  CHECK(results[2].ending == Ending::blocked);
  CHECK(results[3].ending == Ending::done);
}

TEST_CASE("a full disk is told as that, whoever met it") {
  const auto results = run({step("a", {}, false, []() -> std::string { throw Failure{Exit::failed, "initdb exited with 1:\n  │ could not write: No space left on device", "initdb"}; })});
  CHECK(results[0].hint.find("make room") == 0);
  CHECK(results[0].lines == std::vector<std::string>{"could not write: No space left on device"});
}

TEST_CASE("checking only never acts") {
  std::atomic<bool> acted{false};
  const auto results = run({step("a", {}, false, [&] {
                              acted = true;
                              return std::string{};
                            }),
                            step("b", {"a"}, true)},
                           true);
  CHECK_FALSE(acted);
  CHECK(results[0].ending == Ending::wanted);
  CHECK(results[1].ending == Ending::blocked);
}

TEST_CASE("steps that don't need each other run side by side") {
  // Each waits for the other to have begun: one after the other they would never end.
  std::mutex mutex;
  std::condition_variable changed;
  int begun = 0;
  const auto meet = [&] {
    std::unique_lock lock{mutex};
    ++begun;
    changed.notify_all();
    return changed.wait_for(lock, std::chrono::seconds{20}, [&] { return begun == 2; }) ? std::string{"met"} : std::string{"alone"};
  };
  const auto results = run({step("a", {}, false, meet), step("b", {}, false, meet)});
  CHECK(results[0].text == "met");
  CHECK(results[1].text == "met");
}

TEST_CASE("a cancelled run ends with the cancellation's code") {
  CancelSource source;
  source.cancel(Exit::interrupted);
  const auto results = run({step("a", {}, false)}, false, {Deadline::never(), source.token()});
  CHECK(results[0].ending == Ending::failed);
  CHECK(results[0].code == Exit::interrupted);
}

TEST_CASE("choosing steps") {
  const auto names = [](const std::vector<Step>& steps) {
    std::vector<std::string> out;
    for (const auto& one : steps) out.push_back(one.name);
    return out;
  };
  const std::vector<Step> all{step("tools", {}, true), step("env", {}, true), step("db", {"env"}, true), step("install:a", {"tools"}, true), step("install:b", {"tools"}, true)};
  CHECK(names(choose_steps(all, {"db"}, {}).steps) == std::vector<std::string>{"env", "db"});
  CHECK(names(choose_steps(all, {"install"}, {}).steps) == std::vector<std::string>{"tools", "install:a", "install:b"});
  CHECK(names(choose_steps(all, {}, {"install:a", "tools"}).steps) == std::vector<std::string>{"env", "db", "install:b"});
  CHECK_THROWS_AS(choose_steps(all, {"dv"}, {}), Failure);
}

TEST_CASE("what a step that is left out waits for, those behind it wait for as well") {
  const std::vector<Step> all{step("env", {}, true), step("server", {"env"}, true), step("db", {"server"}, true), step("migrate", {"db"}, true), step("other", {"env"}, true)};
  const auto chosen = choose_steps(all, {"migrate"}, {"db"});
  CHECK(chosen.left_out == std::vector<std::string>{"db"});
  REQUIRE(chosen.steps.size() == 3);
  const auto& needs = chosen.steps.back().needs;
  CHECK(std::find(needs.begin(), needs.end(), "server") != needs.end());
  CHECK(std::find(needs.begin(), needs.end(), "other") == needs.end());
  CHECK(choose_steps(all, {}, {"seed"}).left_out.empty());
  // Nothing of what was asked for would be looked at.
  CHECK_THROWS_AS(choose_steps(all, {"migrate"}, {"migrate"}), Failure);
}
