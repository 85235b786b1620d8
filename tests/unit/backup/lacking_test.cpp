#include "lib/backup/lacking.hpp"

#include <doctest/doctest.h>

using namespace codops::backup;

TEST_CASE("what a restored file lacks of the live database") {
  const Tables live{{"public.a", true}, {"public.b", true}, {"public.c", false}};
  CHECK(lacking(live, live).empty());
  CHECK(lacking(live, {{"public.a", true}, {"public.b", true}, {"public.c", false}, {"public.new", true}}).empty());
  CHECK(lacking(live, {{"public.a", true}}) == "has not 2 tables of the live database (public.b, public.c)");
  CHECK(lacking(live, {{"public.a", false}, {"public.b", false}, {"public.c", false}}) == "has no rows for 2 tables that may have some (public.a, public.b)");
  CHECK(lacking(live, {{"public.a", false}, {"public.b", true}}) == "has not 1 table of the live database (public.c) and no rows for 1 table that may have some (public.a)");
  Tables many;
  for (char name = 'a'; name < 'h'; ++name) many.emplace(std::string("s.") + name, true);
  CHECK(lacking(many, {}) == "has not 7 tables of the live database (s.a, s.b, s.c, s.d, s.e, …)");
}
