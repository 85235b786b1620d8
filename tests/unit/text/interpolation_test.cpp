#include "lib/text/interpolation.hpp"

#include <doctest/doctest.h>

#include <map>

#include "lib/base/failure.hpp"

using namespace codops;
using namespace codops::text;

namespace {

const Lookup lookup = [](std::string_view name) -> std::optional<std::string> {
  static const std::map<std::string, std::string, std::less<>> values{{"SET", "s"}, {"EMPTY", ""}, {"_x1", "u"}};
  const auto found = values.find(name);
  return found == values.end() ? std::nullopt : std::optional{found->second};
};

}  // namespace

TEST_CASE("variables are replaced as docker compose does") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"plain", "plain"},
      {"$SET ${SET} ${_x1}", "s s u"},
      {"$$SET $$$SET $1 $ a$", "$SET $s $1 $ a$"},
      {"${UNSET:-a}b}", "ab}"},
      {"${UNSET-d}${EMPTY-d}${EMPTY:-d}", "dd"},
      {"${SET:+r}${SET+r}${EMPTY:+r}${EMPTY+r}${UNSET+r}", "rrr"},
      {"${SET:?e}${EMPTY?e}", "s"},
      {"${UNSET:-${EMPTY:-${SET}}}x", "sx"},
      {"${UNSET:-$$b}", "$b"},
      {"${UNSET:-{x}}", "{x}"},
      {"[$UNSET]", "[]"}};
  for (const auto& [written, expected] : cases) {
    CAPTURE(written);
    CHECK(interpolate(written, lookup) == expected);
  }
}

TEST_CASE("what is no variable is an error") {
  for (const auto* written : {"${1}", "${}", "${a.b}", "${SET", "${SET:x}", "${SET:-${B}", "${A:-x\ny}", "${SET-"}) {
    CAPTURE(written);
    CHECK_THROWS_AS(interpolate(written, lookup), Failure);
  }
  CHECK_THROWS_WITH(interpolate("${UNSET:?give one}", lookup), "the variable \"UNSET\" is not set: give one");
  CHECK_THROWS_WITH(interpolate("${EMPTY:?}", lookup), "the variable \"EMPTY\" is empty");
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "${A:-";
  CHECK_THROWS_AS(interpolate(deep + std::string(10'000, '}'), lookup), Failure);
}

TEST_CASE("a variable without a value is told") {
  std::vector<std::string> unset;
  interpolate("$A ${B} ${C:-} $SET", lookup, [&](std::string_view name) { unset.emplace_back(name); });
  CHECK(unset == std::vector<std::string>{"A", "B"});
}
