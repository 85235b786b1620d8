#include "lib/kube/replicas.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/kube/ownership.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

Object live(const std::string& manager, const std::string& operation) {
  return Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"n","resourceVersion":"7","managedFields":[{"manager":")" + manager +
                       R"(","operation":")" + operation + R"(","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{},"f:paused":{}}}}]},"spec":{"replicas":4,"paused":false}})");
}
const Object open = Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"n"},"spec":{"paused":false}})");
const Object says = Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"n"},"spec":{"paused":false,"replicas":2}})");

}  // namespace

TEST_CASE("a number of replicas that is said no more is let go of, and stays") {
  const auto patch = nlohmann::json::parse(replicas_release(live("codops", "Apply"), open, "codops"));
  CHECK(patch[0].at("value") == "7");
  CHECK(patch[1].at("value")[0].at("fieldsV1").dump() == R"({"f:spec":{"f:paused":{}}})");
  CHECK(replicas_release(live("codops", "Apply"), says, "codops").empty());
  CHECK(replicas_release(live("codops", "Update"), open, "codops").empty());
  CHECK(replicas_release(live("hpa", "Update"), open, "codops").empty());
}

TEST_CASE("taken over from kubectl or Helm, a number that the manifest leaves open is left to nobody") {
  for (const auto& [manager, operation] : {std::pair{"kubectl-client-side-apply", "Update"}, {"helm", "Update"}, {"kubectl", "Apply"}}) {
    const auto adoption = adoption_of(live(manager, operation), open, "codops");
    REQUIRE(adoption);
    CHECK(adoption->drops.empty());
    CHECK(adoption->patch.find("f:replicas") == std::string::npos);
    CHECK(adoption_of(live(manager, operation), says, "codops")->patch.find("f:replicas") != std::string::npos);
  }
}

TEST_CASE("going back writes a number only where this run has written another, and that one still stands") {
  CHECK(replicas_to_restore(3, 3, 2) == 2);
  CHECK_FALSE(replicas_to_restore(std::nullopt, 5, 2));  // open in the new release as well: whoever made it 5 meant it
  CHECK_FALSE(replicas_to_restore(3, 5, 2));             // raised since
  CHECK_FALSE(replicas_to_restore(2, 2, 2));
  CHECK_FALSE(replicas_of(with_open_replicas(says)));
  CHECK(with_open_replicas(says).json() == open.json());
}
