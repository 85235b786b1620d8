#include "lib/backup/written.hpp"

#include <doctest/doctest.h>

using namespace codops::backup;

TEST_CASE("what was written since, in words") {
  const Written before{{"1", {"public.a", 10}}, {"2", {"public.b", 3}}, {"9", {"public.dropped", 7}}};
  CHECK(written_since(before, before).empty());
  CHECK(written_since(before, {{"1", {"public.a", 2}}}).empty());  // counters that were reset
  CHECK(written_since(before, {{"1", {"public.a", 11}}}) == "1 row of public.a");
  CHECK(written_since(before, {{"1", {"public.a", 12}}, {"2", {"public.b", 49}}, {"3", {"public.new", 1}}}) == "46 rows of public.b, 2 of public.a, 1 of public.new");
  CHECK(written_since({}, {{"1", {"s.a", 4}}, {"2", {"s.b", 3}}, {"3", {"s.c", 2}}, {"4", {"s.d", 1}}}) == "4 rows of s.a, 3 of s.b, 2 of s.c and more of 1 other table");
}
