#include <doctest/doctest.h>

#include "lib/scaffold/dev/version_range.hpp"

using namespace codops::scaffold::dev;

TEST_CASE("ranges as package.json writes them") {
  struct Case {
    const char* range;
    Version inside, outside;
  };
  for (const auto& one : {Case{">=18", {20, 0, 0}, {17, 9, 9}}, Case{">= 18", {18, 0, 0}, {17, 9, 9}}, Case{"^20.1", {20, 9, 0}, {20, 0, 9}}, Case{"^20.1", {20, 1, 0}, {21, 0, 0}},
                          Case{"20.x", {20, 5, 0}, {21, 0, 0}}, Case{"20", {20, 5, 0}, {19, 0, 0}}, Case{"~1.2", {1, 2, 9}, {1, 3, 0}}, Case{"^0.3.1", {0, 3, 4}, {0, 4, 0}},
                          Case{"18 - 20", {20, 9, 9}, {21, 0, 0}}, Case{">=18 <21", {20, 9, 9}, {21, 0, 0}}, Case{"^18.18.0 || ^20.9.0 || >=21.1.0", {22, 0, 0}, {20, 8, 0}},
                          Case{"<=20.10", {20, 10, 5}, {20, 11, 0}}, Case{">20", {21, 0, 0}, {20, 99, 0}}, Case{"v18.1.0", {18, 1, 0}, {18, 1, 1}}, Case{"^9.1.0-rc.1", {9, 2, 0}, {10, 0, 0}}}) {
    CAPTURE(one.range);
    CHECK(satisfies(one.inside, one.range) == true);
    CHECK(satisfies(one.outside, one.range) == false);
  }
  CHECK(satisfies({20, 0, 0}, "*") == true);
  CHECK(satisfies({20, 0, 0}, "") == true);
  CHECK_FALSE(satisfies({20, 0, 0}, "lts/iron").has_value());
  CHECK(lowest("^18.18.0 || >=20") == Version{18, 18, 0});
  CHECK_FALSE(lowest("*").has_value());
  CHECK(parse_version("v20.11.1") == Version{20, 11, 1});
  CHECK(parse_version("9.1.0-rc.2") == Version{9, 1, 0});
  CHECK_FALSE(parse_version("PostgreSQL"));
}
