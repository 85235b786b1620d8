// What a reader makes of a journal that was damaged in some way: which entries are missed, and how far the run may have come.
#include "lib/plan/journal.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"
#include "tests/support/fakes.hpp"

using namespace codops;
using namespace codops::plan;

namespace {

Plan three_steps() {
  Plan plan;
  plan.verb = "deploy";
  for (const char* name : {"start", "prove", "switch", "stop"}) {
    Step step;
    step.name = name;
    step.kind = "world";
    step.args = "{}";
    step.mutates = std::string{name} != "prove";
    plan.steps.push_back(std::move(step));
  }
  return plan;
}

struct Fixture {
  tests::MemoryState state;
  tests::ManualClock clock;
  bool full{false};
  Plan plan = three_steps();
  Journal journal{[this](const auto& files, const Limits& limits) {
                    if (full) throw Failure{Exit::failed, "no space left on device"};
                    state.write(files, limits);
                  }, "run1", [this] { return clock.now(); }};

  void begin(const std::string& step) { journal.write("doing", step, {}, {}); }
  std::vector<target::StateStore::File> files() { return state.read_all("meta/journal", {}); }
  static std::string path(int seq) { return "meta/journal/run1/00000" + std::to_string(seq) + ".json"; }
};

Record only(const std::vector<target::StateStore::File>& files) {
  const auto records = records_of(files);
  REQUIRE(records.size() == 1);
  return records.front();
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "every shape of damage is seen and told apart from what is whole") {
  state.write({journal.entry_file("planned", {}, {}, to_json(plan))}, {});
  begin("start");
  begin("switch");
  const auto whole = files();
  CHECK(only(whole).damaged.empty());
  CHECK(only(whole).last_maybe_begun(plan) == 2);
  const auto cut = whole[1].content.substr(0, 40);
  auto altered = whole[1].content;
  altered.replace(altered.find("start"), 5, "stopp");
  for (const auto& content : {std::string{}, cut, altered, std::string{"\xff\xfe\0\x01", 4}, std::string{"[]"}, std::string{"null"}, std::string{"{}"}}) {
    CAPTURE(content);
    auto damaged = whole;
    damaged[1].content = content;
    const auto record = only(damaged);
    CHECK(record.damaged == std::vector<std::string>{path(2)});
    CHECK(record.entries.size() == 2);
    CHECK(record.plan());
    CHECK_FALSE(record.ended());
    CHECK(record.last_maybe_begun(plan) == 2);  // an earlier entry than the last one says nothing new
  }
}

TEST_CASE_FIXTURE(Fixture, "an entry that is gone is missed by the one after it") {
  state.write({journal.entry_file("planned", {}, {}, to_json(plan))}, {});
  begin("start");
  begin("switch");
  auto gone = files();
  gone.erase(gone.begin() + 1);
  CHECK(only(gone).damaged == std::vector<std::string>{path(2)});
  gone = files();
  gone.erase(gone.begin());
  CHECK(only(gone).damaged == std::vector<std::string>{path(1)});
  CHECK_FALSE(only(gone).plan());
}

TEST_CASE_FIXTURE(Fixture, "an entry that could never be written is not missed") {
  state.write({journal.entry_file("planned", {}, {}, to_json(plan))}, {});
  begin("start");
  full = true;
  CHECK_THROWS_AS(begin("switch"), Failure);
  full = false;
  journal.write("undoing", "start", {}, {});
  CHECK(files().size() == 3);
  CHECK(only(files()).damaged.empty());
}

TEST_CASE_FIXTURE(Fixture, "a damaged last entry may be a step that was begun; steps that change nothing are passed over") {
  state.write({journal.entry_file("planned", {}, {}, to_json(plan))}, {});
  begin("start");
  auto torn = files();
  torn.push_back({path(3), "{\"format\":1,\"seq\":3"});
  CHECK(only(torn).last_begun(plan) == 0);
  CHECK(only(torn).last_maybe_begun(plan) == 2);
  torn.push_back({path(4), ""});
  torn.push_back({path(5), ""});
  CHECK(only(torn).last_maybe_begun(plan) == 3);  // there are no more
  torn.erase(torn.begin() + 1, torn.end());
  CHECK_FALSE(only(torn).last_maybe_begun(plan));
}

TEST_CASE("formats: one that is older than the first is damage, a newer one is refused, an unknown key is read over") {
  const auto sealed = [](nlohmann::json json) {
    json["sum"] = io::sha256_hex(json.dump());
    return json.dump();
  };
  const nlohmann::json entry{{"format", 1}, {"seq", 1}, {"at", "2026-11-26T12:00:00Z"}, {"event", "doing"}, {"step", "start"}, {"text", ""}};
  auto other = entry;
  CHECK(decode(sealed(other)));
  other["something"] = "of a later release of this format";
  CHECK(decode(sealed(other)));
  other = entry;
  other["format"] = 0;
  CHECK_FALSE(decode(sealed(other)));
  other["format"] = 2;
  CHECK_THROWS_AS(decode(sealed(other)), NewerFormat);
}

TEST_CASE_FIXTURE(Fixture, "what is left of the run's own failed writes hides nothing, once a later entry tells of them") {
  state.write({journal.entry_file("planned", {}, {}, to_json(plan))}, {});
  begin("start");
  full = true;
  CHECK_THROWS_AS(begin("switch"), Failure);
  state.write({{path(3), {}}}, {});
  CHECK(only(files()).doubtful());
  CHECK(only(files()).last_maybe_begun(plan) == 2);
  full = false;
  journal.write("undoing", "start", {}, {});
  const auto told = only(files());
  CHECK(told.damaged == std::vector<std::string>{path(3)});
  CHECK_FALSE(told.doubtful());
  CHECK(told.last_maybe_begun(plan) == 0);

  // A stranger's damage: the entry after it names the one that was written.
  state.write({{path(2), {}}}, {});
  CHECK(only(files()).doubtful());
  // And the newest may have been anything.
  state.write({{path(4), {}}}, {});
  CHECK(only(files()).last_maybe_begun(plan) == 3);
}

TEST_CASE_FIXTURE(Fixture, "hooks are no steps; those without a word of their end are told") {
  state.write({journal.entry_file("planned", {}, {}, to_json(plan))}, {});
  begin("start");
  begin("switch");
  begin("stop");
  CHECK(only(files()).open_hooks().empty());
  begin(post_deploy);
  CHECK(only(files()).open_hooks() == post_deploy);
  CHECK(only(files()).last_begun(plan) == 3);
  journal.write("done", post_deploy, {}, {});
  CHECK(only(files()).open_hooks().empty());
  journal.write("ended", {}, {}, {});
  begin(on_failure);
  CHECK(only(files()).open_hooks() == on_failure);
  CHECK(only(files()).ended());
}
