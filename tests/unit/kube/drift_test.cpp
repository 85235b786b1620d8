#include "lib/kube/drift.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/kube/applyset.hpp"
#include "lib/kube/summary.hpp"
#include "tests/unit/kube/observation.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

using Json = nlohmann::json;
using Lines = std::vector<std::string>;

const char* const on_record = R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":2,"template":{"spec":{"containers":[
  {"name":"web","image":"web:1","args":["serve"],"resources":{"limits":{"cpu":"1000m"}},
   "env":[{"name":"DB_PASSWORD","value":"hunter2"},{"name":"EMPTY","value":""},{"name":"NODE","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]}]}}}})";

// As the server has it: with defaults, numbers in its own words, and no empty values.
Object live() {
  auto object = Object::parse(on_record);
  auto& container = object.edit()["spec"]["template"]["spec"]["containers"][0];
  container["resources"]["limits"]["cpu"] = "1";
  container["imagePullPolicy"] = "IfNotPresent";
  container["env"][1].erase("value");
  container["env"][2]["valueFrom"]["fieldRef"]["apiVersion"] = "v1";
  return object;
}

Json& container_of(Object& object) { return object.edit()["spec"]["template"]["spec"]["containers"][0]; }

}  // namespace

TEST_CASE("what the server writes in its own way is no drift") {
  CHECK(pod_drift(Object::parse(on_record), live()).empty());
  CHECK(added_variables(Object::parse(on_record), live()).empty());
  const auto seen = observation("deployment_done");
  CHECK(pod_drift(seen.workload, seen.workload).empty());
}

TEST_CASE("a hand on the pods is told, without values") {
  const auto wanted = Object::parse(on_record);
  const auto told = [&](const std::function<void(Json&)>& change) {
    auto object = live();
    change(container_of(object));
    return pod_drift(wanted, object);
  };
  CHECK(told([](Json& c) { c["image"] = "other/x:y"; }) == Lines{"container web: runs other/x:y, not web:1"});
  CHECK(told([](Json& c) { c["env"][0]["value"] = "hunter3"; }) == Lines{"container web: the variable DB_PASSWORD was changed"});
  CHECK(told([](Json& c) { c["env"].erase(0); }) == Lines{"container web: the variable DB_PASSWORD was removed"});
  CHECK(told([](Json& c) { c["env"][2] = {{"name", "NODE"}, {"value", "x"}}; }) == Lines{"container web: the variable NODE was changed"});
  CHECK(told([](Json& c) { c["args"] = {"idle"}; }) == Lines{"container web: its args was changed"});
  CHECK(told([](Json& c) { c["command"] = {"sh"}; }) == Lines{"container web: its command was changed"});
  CHECK(told([](Json& c) { c["name"] = "another"; }) == Lines{"container web was removed"});
  CHECK(told([](Json& c) { c["env"].push_back({{"name", "X"}, {"value", "1"}}); }).empty());
}

TEST_CASE("an added variable counts where somebody else wrote it") {
  auto object = live();
  container_of(object)["env"].push_back({{"name", "X"}, {"value", "1"}});
  const auto by = [&](const char* manager) {
    object.edit()["metadata"]["managedFields"] = Json::array({{{"manager", manager}, {"operation", "Update"}, {"time", "2026-11-26T10:00:00Z"},
      {"fieldsV1", Json::parse(R"({"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:env":{"k:{\"name\":\"X\"}":{".":{},"f:name":{},"f:value":{}}}}}}}}})")}}});
    return added_variables(Object::parse(on_record), object);
  };
  CHECK(by("kubectl-set") == Lines{"container web: the variable X was added"});
  CHECK(last_stranger(object) == "kubectl-set");
  CHECK(by("codops").empty());
  CHECK(last_stranger(object).empty());
}

TEST_CASE("keys of a Secret are compared as the server keeps them") {
  const auto wanted = Object::parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"pin":"4711","other":"x"}})");
  const auto now = [](const char* data) { return Object{Json{{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", "s"}}}, {"data", Json::parse(data)}}}; };
  CHECK(data_drift(wanted, now(R"({"pin":"NDcxMQ==","other":"eA==","added":"eA=="})")).empty());
  CHECK(data_drift(wanted, now(R"({"pin":"eA=="})")) == Lines{"the key other was removed", "the key pin was changed"});
}

TEST_CASE("fewer replicas than the release has are no health") {
  auto seen = observation("deployment_done");
  auto summary = summarise(seen, WallTime{});
  REQUIRE(summary.healthy);
  count_by_release(summary, summary.desired);
  CHECK(summary.healthy);
  count_by_release(summary, summary.desired + 1);
  CHECK(!summary.healthy);
  CHECK(summary.desired == 3);
  CHECK(summary.why.front() == "it was scaled to 2, the release has 3");
}

TEST_CASE("a parent that names a custom kind asks for what the server has") {
  const ApplySet set{"codops-shop", "shop", "codops/0.1"};
  auto members = std::vector{Object::parse(on_record)};
  CHECK(knows_members({}, ResourceTypes::built_in()));
  CHECK(knows_members(applyset_parent(set, members, {}), ResourceTypes::built_in()));
  members.push_back(Object::parse(R"({"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"shop"}})"));
  const auto parent = applyset_parent(set, members, {});
  CHECK(!knows_members(parent, ResourceTypes::built_in()));
  auto types = ResourceTypes::built_in().all();
  types.push_back({"example.com", "v1", "Widget", "widgets", true, {}});
  CHECK(knows_members(parent, ResourceTypes{types}));
}
