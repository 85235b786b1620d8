#include "lib/ops/leftovers.hpp"

#include <doctest/doctest.h>

using namespace codops;

TEST_CASE("empty files of the state that may go: never what was acknowledged") {
  release::Snapshot snapshot;
  release::HistoryEntry entry;
  entry.number = 4;
  entry.release = 3;
  entry.result = "ok";
  release::seal(entry, {});
  snapshot.history.push_back(entry);
  snapshot.damaged = {"meta/environment.json", "meta/history/000005.json", "meta/journal/r2/000003.json", "meta/releases/000003.json", "meta/releases/000004.json"};
  using Paths = std::vector<std::string>;
  CHECK(ops::may_go_when_empty(snapshot) == Paths{"meta/history/000005.json", "meta/journal/r2/000003.json", "meta/releases/000004.json"});
  // A number that was given again is no leftover.
  snapshot.releases[4].number = 4;
  CHECK(ops::may_go_when_empty(snapshot) == Paths{"meta/history/000005.json", "meta/journal/r2/000003.json"});
  // What an unfinished run's entry may have said is told by its being damaged.
  plan::Record record;
  record.run = "r2";
  record.damaged = {"meta/journal/r2/000003.json"};
  snapshot.journals.push_back(record);
  CHECK(ops::may_go_when_empty(snapshot) == Paths{"meta/history/000005.json"});
  snapshot.history.back().hash.clear();
  CHECK(ops::may_go_when_empty(snapshot).empty());
}
