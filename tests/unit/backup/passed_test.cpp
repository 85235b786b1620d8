#include "lib/backup/passed.hpp"

#include <doctest/doctest.h>

using namespace codops::backup;

TEST_CASE("the note on what an earlier restore put aside keeps the database's own comment") {
  const auto passed = parse_passed(to_comment(Passed{"20261123_101500_250", true, false, "their \"own\""}));
  REQUIRE(passed);
  CHECK(passed->by == "20261123_101500_250");
  CHECK(passed->undo);
  CHECK_FALSE(passed->database);
  CHECK(passed->comment == "their \"own\"");
  // What somebody else wrote is a comment like any other.
  for (const auto* other : {"", "theirs", "codops put aside: ", "codops put aside: []", "codops put aside: {}", "codops put aside: {\"passed_by\": 1}", "codops put aside: {\"passed_by\": \"x\"}"}) CHECK_FALSE(parse_passed(other));
}
