#include "lib/kube/quota.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace codops::kube;

namespace {

Object quota(const char* hard, const char* used) {
  return Object::parse(std::string{R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q","namespace":"n"},"spec":{},"status":{"hard":)"} + hard + R"(,"used":)" + used + "}}");
}
const Object web = Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"n"},"spec":{"template":{"spec":{"containers":[
  {"name":"a","resources":{"requests":{"cpu":"250m","memory":"64Mi"}}},{"name":"b","resources":{"requests":{"cpu":"0.25"}}}]}}}})");

}  // namespace

TEST_CASE("quantities") {
  CHECK(quantity_of("500m") == 500);
  CHECK(quantity_of("1.5") == 1500);
  CHECK(quantity_of("1Ki") == 1024000);
  CHECK_FALSE(quantity_of("x"));
  CHECK_FALSE(quantity_of("1Q"));
}

TEST_CASE("a rollout for whose first new pod a quota has no room, and the way out") {
  const auto lines = without_room({web}, {quota(R"({"pods":"4"})", R"({"pods":"4"})")});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("pods: 4 of 4 used") != std::string::npos);
  CHECK(lines[0].find("maxUnavailable: 1") != std::string::npos);
  CHECK(without_room({web}, {quota(R"({"pods":"4"})", R"({"pods":"3"})")}).empty());
  CHECK(without_room({web}, {quota(R"({"requests.cpu":"2"})", R"({"requests.cpu":"1500m"})")}).empty());
  CHECK(without_room({web}, {quota(R"({"requests.cpu":"2"})", R"({"requests.cpu":"1501m"})")}).size() == 1);
  CHECK(without_room({web}, {quota(R"({"secrets":"4"})", R"({"secrets":"4"})")}).empty());
}
