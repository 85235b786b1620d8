#include "lib/plan/runner.hpp"

#include <doctest/doctest.h>

#include <future>

#include "tests/support/fakes.hpp"

using namespace codops;
using namespace codops::plan;

namespace {

// Keeps a set of what exists; a step adds its name, its undo removes it.
class World final : public Action {
 public:
  std::string perform(const Step& step, const Limits&) override {
    if (step.name == fails_before) throw Failure{Exit::failed, "no"};
    things.insert(step.name);
    if (performed) performed(step.name);
    if (step.name == fails_after) throw Failure{Exit::failed, "half way"};
    if (step.name == cancelled_in) throw Failure{Exit::interrupted, "interrupted"};
    return "done";
  }
  void undo(const Step& step, const Limits&) override {
    if (step.name == undo_fails) throw Failure{Exit::failed, "stuck"};
    things.erase(step.name);
  }
  std::set<std::string> things;
  std::function<void(const std::string&)> performed;
  std::string fails_before, fails_after, undo_fails, cancelled_in;
};

Step step(std::string name, Phase phase, std::string undo = "remove") {
  Step made;
  made.kind = "world";
  made.name = std::move(name);
  made.args = "{}";
  made.undo = std::move(undo);
  if (made.undo.empty()) made.no_undo = "it stays";
  made.phase = phase;
  return made;
}

struct Fixture {
  tests::MemoryState state;
  std::function<void()> before_write;
  tests::ManualClock clock;
  tests::RecordingReporter reporter;
  World world;
  Actions actions{{"world", &world}};
  Journal journal{[this](const auto& files, const Limits& limits) {
                    if (before_write) before_write();
                    state.write(files, limits);
                  }, "run1", [this] { return clock.now(); }};
  Plan plan;
  std::vector<std::string> evidence;

  Fixture() {
    plan.from = 1;
    plan.steps = {step("a", Phase::before), step("b", Phase::before, ""), step("c", Phase::moved), step("d", Phase::proven)};
  }
  Run run() {
    return {plan, actions, journal, reporter, clock, {}, [] {},
            [this](const Step& failed, const Failure&) { evidence.push_back(failed.name); }, std::chrono::seconds{5}};
  }
  std::vector<std::string> journalled() {
    std::vector<std::string> lines;
    for (const auto& record : records_of(state.read_all("meta/journal", {}))) {
      for (const auto& entry : record.entries) lines.push_back(entry.event + " " + entry.step);
    }
    return lines;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a plan runs to its end, each mutating step journalled before it") {
  const auto outcome = plan::run(run());
  CHECK(outcome.done);
  CHECK(outcome.exit == Exit::ok);
  CHECK(world.things == std::set<std::string>{"a", "b", "c", "d"});
  CHECK(journalled() == std::vector<std::string>{"doing a", "doing b", "doing c", "doing d"});
}

TEST_CASE_FIXTURE(Fixture, "whatever step fails, before or after its work, everything with an undo is gone") {
  for (const bool after : {false, true}) {
    for (const auto& failing : plan.steps) {
      CAPTURE(failing.name);
      Fixture fresh;
      (after ? fresh.world.fails_after : fresh.world.fails_before) = failing.name;
      const auto outcome = plan::run(fresh.run());
      CHECK_FALSE(outcome.done);
      CHECK(outcome.failed_step == failing.name);
      fresh.world.things.erase("b");  // declares that it stays
      CHECK(fresh.world.things.empty());
      CHECK(fresh.evidence == std::vector<std::string>{failing.name});
      CHECK(outcome.exit == (failing.phase == Phase::before ? Exit::failed : Exit::moved_back));
      // Of a first release: there was no traffic to move.
      Fixture first;
      first.plan.from = 0;
      (after ? first.world.fails_after : first.world.fails_before) = failing.name;
      CHECK(plan::run(first.run()).exit == Exit::failed);
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "a failed undo is exit 6; what traffic may depend on is left, and named") {
  world.fails_after = "d";
  world.undo_fails = "c";
  const auto outcome = plan::run(run());
  CHECK(outcome.exit == Exit::undo_failed);
  CHECK(world.things == std::set<std::string>{"a", "b", "c"});
  CHECK(outcome.not_undone == std::vector<std::string>{"c: stuck", "b: left, traffic may depend on it", "a: left, traffic may depend on it"});
}

TEST_CASE_FIXTURE(Fixture, "a failed undo before traffic moved does not keep the others from being undone") {
  plan.steps = {step("a", Phase::before), step("b", Phase::before), step("c", Phase::before)};
  world.fails_after = "c";
  world.undo_fails = "b";
  const auto outcome = plan::run(run());
  CHECK(outcome.exit == Exit::undo_failed);
  CHECK(world.things == std::set<std::string>{"b"});
}

TEST_CASE_FIXTURE(Fixture, "the test hook fails a run where it is told to, and only there") {
  ::setenv("CODOPS_TEST_FAIL", "after:c", 1);
  const auto outcome = plan::run(run());
  ::unsetenv("CODOPS_TEST_FAIL");
  CHECK(outcome.failed_step == "c");
  CHECK(world.things == std::set<std::string>{"b"});
  CHECK(plan::run(run()).done);
}

TEST_CASE_FIXTURE(Fixture, "a step that changes nothing runs while its entry is written; that it can't be written is a failure all the same") {
  auto looks = step("look", Phase::moved, "");
  looks.no_undo.clear();
  plan.steps = {step("a", Phase::before), looks, step("z", Phase::proven)};
  std::promise<void> performed;
  world.performed = [&](const std::string& name) {
    if (name == "look") performed.set_value();
  };
  int calls = 0;
  bool beside = false;
  before_write = [&] {
    if (++calls == 2) beside = performed.get_future().wait_for(std::chrono::seconds{10}) == std::future_status::ready;
  };
  CHECK(plan::run(run()).done);
  CHECK(beside);
  CHECK(journalled() == std::vector<std::string>{"doing a", "doing look", "doing z"});

  Fixture full;
  full.plan = plan;
  calls = 0;
  full.before_write = [&] {
    if (++calls == 2) throw Failure{Exit::failed, "no space left on device"};
  };
  const auto outcome = plan::run(full.run());
  CHECK(outcome.failed_step == "look");
  CHECK(outcome.undone == std::vector<std::string>{"a"});
  CHECK(full.world.things == std::set<std::string>{"look"});
}

TEST_CASE_FIXTURE(Fixture, "a lost lock stops the run without touching anything more") {
  int calls = 0;
  before_write = [&] {
    if (++calls == 3) throw Failure{Exit::locked, "evicted"};
  };
  const auto outcome = plan::run(run());
  CHECK(outcome.exit == Exit::locked);
  CHECK(world.things == std::set<std::string>{"a", "b"});
  CHECK(outcome.undone.empty());
}

TEST_CASE_FIXTURE(Fixture, "who was evicted between a step's entry and the step does not begin it") {
  auto evicted = run();
  evicted.still_holding = [&] {
    if (journalled().size() == 3) throw Failure{Exit::locked, "evicted"};
  };
  const auto outcome = plan::run(evicted);
  CHECK(outcome.exit == Exit::locked);
  CHECK(outcome.failed_step == "c");
  CHECK(world.things == std::set<std::string>{"a", "b"});
}

TEST_CASE_FIXTURE(Fixture, "a journal that can't be written stops the run, and does not keep it from being undone") {
  int calls = 0;
  before_write = [&] {
    if (++calls >= 3) throw Failure{Exit::failed, "no space left on device"};
  };
  const auto outcome = plan::run(run());
  CHECK(outcome.exit == Exit::failed);  // step c would have moved traffic, and did not begin
  CHECK(outcome.failed_step == "c");
  CHECK(outcome.undone == std::vector<std::string>{"a"});
  CHECK(world.things == std::set<std::string>{"b"});  // declares that it stays
  auto unsure = run();
  calls = 0;
  unsure.still_holding = [&] {
    if (calls >= 3) throw Failure{Exit::locked, "evicted"};
  };
  CHECK(plan::run(unsure).undone.empty());
}

TEST_CASE_FIXTURE(Fixture, "a signal undoes and keeps its own exit code") {
  world.cancelled_in = "c";
  const auto outcome = plan::run(run());
  CHECK(outcome.exit == Exit::interrupted);
  CHECK(world.things == std::set<std::string>{"b"});
}

TEST_CASE_FIXTURE(Fixture, "an undo that its time cuts off says so; one that fails by itself does not") {
  world.undo_fails = "c";
  world.fails_after = "c";
  CHECK(!plan::run(run()).undo_cut_off);
  auto late = run();
  late.undo_time = Milliseconds{0};
  const auto outcome = plan::run(late);
  CHECK(outcome.exit == Exit::undo_failed);
  CHECK(outcome.undo_cut_off);
}

TEST_CASE_FIXTURE(Fixture, "when the command's own time is over, that is what is said, not whom it waited for") {
  auto late = run();
  late.limits = Limits{}.within(Milliseconds{0});
  const auto outcome = plan::run(late);
  CHECK(outcome.exit == Exit::deadline);
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->message().find("--timeout") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "recovery: from any moment back to before, twice the same") {
  for (std::size_t died = 0; died < plan.steps.size(); ++died) {
    CAPTURE(died);
    Fixture fresh;
    for (std::size_t index = 0; index <= died; ++index) {
      fresh.journal.write("doing", plan.steps[index].name, "", {});
      fresh.world.things.insert(plan.steps[index].name);
    }
    const auto records = records_of(fresh.state.read_all("meta/journal", {}));
    REQUIRE(records.size() == 1);
    CHECK(records[0].last_begun(plan) == died);
    for (int time = 0; time < 2; ++time) {
      const auto outcome = undo_all(fresh.run(), died, &records[0]);
      CHECK(outcome.done);
      fresh.world.things.erase("b");
      CHECK(fresh.world.things.empty());
    }
  }
}

TEST_CASE("a journal entry that was torn or altered is damage, a newer format is refused") {
  const Entry entry{3, WallTime{Milliseconds{1}}, "doing", "start", "backend ×3", {}};
  const auto text = encode(entry);
  REQUIRE(decode(text));
  CHECK(decode(text)->step == "start");
  for (std::size_t length = 0; length + 1 < text.size(); length += 7) CHECK_FALSE(decode(text.substr(0, length)));
  auto altered = text;
  altered.replace(altered.find("backend"), 7, "BACKEND");
  CHECK_FALSE(decode(altered));
  auto newer = text;
  newer.replace(newer.find("\"format\":1"), 10, "\"format\":9");
  CHECK_THROWS_AS(decode(newer), NewerFormat);
}

TEST_CASE_FIXTURE(Fixture, "a plan survives its journal") {
  plan.verb = "deploy";
  plan.version = "v1";
  plan.context = R"({"upstreams":"x"})";
  const auto again = from_json(to_json(plan));
  CHECK(to_json(again) == to_json(plan));
  CHECK(again.steps.size() == 4);
}
