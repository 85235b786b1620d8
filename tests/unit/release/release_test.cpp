#include "lib/release/release_store.hpp"

#include <doctest/doctest.h>

#include "tests/support/fakes.hpp"

using namespace codops;
using namespace codops::release;

namespace {

Release make(int number) {
  Release release;
  release.number = number;
  release.version = "v" + std::to_string(number);
  release.environment = "production";
  ServiceRecord service;
  service.name = "backend";
  service.files = {{"/etc/app.conf", "sum" + std::to_string(number), 0644, 0, 0}};
  service.members = {{"shop-backend-r" + std::to_string(number) + "-1", "172.20.0.10", 1}};
  release.services.push_back(service);
  return release;
}

HistoryEntry entry(int number, int release, std::string result = "ok", std::string action = "deploy") {
  HistoryEntry made;
  made.number = number;
  made.release = release;
  made.result = std::move(result);
  made.action = std::move(action);
  return made;
}

}  // namespace

TEST_CASE("a release and its history survive the store, secrets and files apart") {
  tests::MemoryState state;
  ReleaseStore store{state};
  auto first = entry(1, 1);
  seal(first, "");
  const Specs specs{{"backend", Secret{R"({"Env":["PASSWORD=canary"]})"}}};
  store.write({ReleaseStore::file_of(make(1)), ReleaseStore::file_of(first), ReleaseStore::file_of(1, specs),
               ReleaseStore::blob("sum1", "content"), ReleaseStore::environment_file("production")}, {});
  const auto snapshot = store.load({});
  REQUIRE(snapshot.current() != nullptr);
  CHECK(to_json(*snapshot.current()) == to_json(make(1)));
  CHECK(snapshot.environment == "production");
  CHECK(store.load_specs(make(1), {}) == specs);
  CHECK_THROWS_WITH_AS(store.load_specs(make(7), {}), doctest::Contains("the stored definitions of release 7 (v7) are gone"), Failure);
  CHECK(store.find_specs(7, {}).empty());
  CHECK(store.load_blob("sum1", {}) == "content");
  for (const auto& [path, content] : state.files) {
    if (!path.starts_with("secrets/")) CHECK(content.find("canary") == std::string::npos);
  }
}

TEST_CASE("which files are secrets is in the record; older records had no word of it, and compose's folder tells") {
  auto release = make(1);
  release.services.front().files = {{"/etc/app.conf", "one", 0644, 0, 0, false}, {"/etc/key", "two", 0400, 0, 0, true}};
  const auto secrets = [](const Release& one) {
    std::vector<bool> found;
    for (const auto& file : one.services.front().files) found.push_back(file.secret);
    return found;
  };
  CHECK(secrets(release_from_json(to_json(release))) == std::vector{false, true});
  release.services.front().files[1].target = "/run/secrets/key";
  auto older = to_json(release);
  for (const std::string_view word : {",\"secret\":true", ",\"secret\":false", "\"secret\":true,", "\"secret\":false,"}) {
    for (auto at = older.find(word); at != std::string::npos; at = older.find(word)) older.erase(at, word.size());
  }
  REQUIRE(older.find("secret\"") == std::string::npos);
  CHECK(secrets(release_from_json(older)) == std::vector{false, true});
}

TEST_CASE("what serves is what the last good entry says; a rollback makes no release") {
  Snapshot snapshot;
  for (int number = 1; number <= 3; ++number) snapshot.releases.emplace(number, make(number));
  snapshot.history = {entry(1, 1), entry(2, 2), entry(3, 3, "undone"), entry(4, 1, "ok", "rollback")};
  CHECK(snapshot.current()->number == 1);
  CHECK(snapshot.last_number() == 3);
  snapshot.history.push_back(entry(5, 1, "ok", "down"));
  CHECK(snapshot.current() == nullptr);
}

TEST_CASE("an altered or removed history entry shows") {
  std::vector<HistoryEntry> history{entry(1, 1), entry(2, 2), entry(3, 3)};
  seal(history[0], "");
  seal(history[1], history[0].hash);
  seal(history[2], history[1].hash);
  CHECK(broken_links(history).empty());
  auto altered = history;
  altered[1].by = "somebody else";
  CHECK(broken_links(altered) == std::vector<int>{2});
  history.erase(history.begin() + 1);
  CHECK(broken_links(history) == std::vector<int>{3});
}

TEST_CASE("pruning keeps the current release, the newest others that served, and their files") {
  Snapshot snapshot;
  for (int number = 1; number <= 5; ++number) snapshot.releases.emplace(number, make(number));
  snapshot.history = {entry(1, 1), entry(2, 2), entry(3, 3, "undone"), entry(4, 4), entry(5, 5)};
  const auto retention = prune_plan(snapshot, 5, 2, 10);
  CHECK(retention.releases == std::vector<int>{1, 3});
  const auto has = [&](const std::string& path) {
    return std::find(retention.paths.begin(), retention.paths.end(), path) != retention.paths.end();
  };
  CHECK(has("meta/releases/000001.json"));
  CHECK(has("secrets/000003.json"));
  CHECK(has("files/sum1"));
  CHECK_FALSE(has("files/sum2"));
  CHECK_FALSE(has("meta/releases/000004.json"));
}

TEST_CASE("damage is named, a newer format stops everything") {
  tests::MemoryState state;
  ReleaseStore store{state};
  state.files["meta/releases/000001.json"] = "{\"format\":1,";
  state.files["meta/history/000001.json"] = "";
  const auto snapshot = store.load({});
  CHECK(snapshot.damaged == std::vector<std::string>{"meta/history/000001.json", "meta/releases/000001.json"});
  state.files["meta/releases/000002.json"] = "{\"format\":99}";
  CHECK_THROWS_AS(store.load({}), plan::NewerFormat);
}

namespace {

plan::Record run_named(std::string name, const std::string& ending) {
  plan::Record record;
  record.run = std::move(name);
  plan::Entry planned;
  planned.seq = 1;
  planned.event = "planned";
  planned.plan = R"({"format":1,"verb":"deploy","environment":"production","run":"t","release":2,"version":"v2","from":1,"from_version":"v1","steps":[]})";
  record.entries.push_back(planned);
  if (!ending.empty()) {
    plan::Entry ended;
    ended.seq = 2;
    ended.event = "ended";
    ended.text = ending;
    record.entries.push_back(ended);
  }
  return record;
}

}  // namespace

TEST_CASE("only the newest run can be unfinished, and the history may know its end") {
  Snapshot snapshot;
  CHECK(snapshot.unfinished() == nullptr);
  // The end of an old run was damaged since: the runs after it recovered whatever there was.
  snapshot.journals = {run_named("20260101T000000Z-a", ""), run_named("20260102T000000Z-b", "ok")};
  CHECK(snapshot.unfinished() == nullptr);
  snapshot.journals.push_back(run_named("20260103T000000Z-c", ""));
  REQUIRE(snapshot.unfinished() != nullptr);
  CHECK(snapshot.unfinished()->run == "20260103T000000Z-c");
  auto ended = entry(1, 2);
  ended.run = "20260103T000000Z-c";
  snapshot.history.push_back(ended);
  CHECK(snapshot.unfinished() == nullptr);
  // What could not be undone is tried again.
  snapshot.history.back().result = "undo failed";
  CHECK(snapshot.unfinished() != nullptr);
}

TEST_CASE("a lost record of the release that serves is told from its journal, and a damaged record's number is not given again") {
  Snapshot snapshot;
  snapshot.history.push_back(entry(1, 1));
  snapshot.paths = {"meta/history/000001.json", "meta/history/000004.json"};
  CHECK(snapshot.next_entry() == 5);

  tests::MemoryState state;
  ReleaseStore store{state};
  auto second = entry(1, 2);
  second.run = "20260103T000000Z-c";
  seal(second, "");
  plan::Plan planned;
  planned.verb = "deploy";
  planned.version = "v2";
  planned.release = 2;
  planned.context = "{\"next\":" + to_json(make(2)) + "}";
  plan::Entry first;
  first.seq = 1;
  first.event = "planned";
  first.plan = to_json(planned);
  state.write({{"meta/journal/20260103T000000Z-c/000001.json", plan::encode(first)}, ReleaseStore::file_of(second)}, {});
  const auto loaded = store.load({});
  REQUIRE(loaded.current() != nullptr);
  CHECK(loaded.current()->version == "v2");
  CHECK(loaded.damaged == std::vector<std::string>{"meta/releases/000002.json"});
}
