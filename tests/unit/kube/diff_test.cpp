#include "lib/kube/diff.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/kube/observation.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

Object parse(const char* text) { return Object::parse(text); }

std::vector<std::string> lines(const Object& live, const Object& desired) {
  std::vector<std::string> texts;
  for (const auto& change : diff(live, desired).changes) texts.push_back(change.text());
  return texts;
}
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a plan's lines: items by their key, what the server fills in left out") {
  auto live = observation("deployment_done").workload;
  auto desired = live;
  desired.edit()["metadata"]["resourceVersion"] = "9";
  desired.edit()["metadata"]["generation"] = 9;
  desired.edit()["metadata"]["managedFields"] = {{{"manager", "x"}}};
  desired.edit()["status"] = nullptr;
  CHECK(diff(live, desired).sign == Sign::same);
  CHECK(same_object(live, desired));

  auto& container = desired.edit()["spec"]["template"]["spec"]["containers"][0];
  container["image"] = "web:2";
  container["env"][1]["value"] = "b";
  container["env"].push_back({{"name", "NEW"}, {"value", "1"}});
  container["ports"][0]["name"] = "http";
  container["command"] = {"a", "b"};
  desired.edit()["spec"]["replicas"] = 3;
  desired.edit()["metadata"]["labels"] = {{"app.kubernetes.io/name", "web"}};
  const auto made = diff(live, desired);
  CHECK(made.sign == Sign::changed);
  CHECK(made.new_pods);
  CHECK_FALSE(same_object(live, desired));
  CHECK(lines(live, desired) == Lines{"+ metadata.labels[\"app.kubernetes.io/name\"]: web", "~ spec.replicas: 2 → 3", "+ spec.template.spec.containers[web].command: [\"a\",\"b\"]",
                                      "~ spec.template.spec.containers[web].env[MODE].value: a → b", "+ spec.template.spec.containers[web].env[NEW]: 1", "~ spec.template.spec.containers[web].image: web:1 → web:2",
                                      "+ spec.template.spec.containers[web].ports[80/TCP].name: http"});
}

TEST_CASE("made, removed, scaled") {
  const auto object = parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}})");
  CHECK(diff({}, object).sign == Sign::added);
  CHECK(diff(object, {}).sign == Sign::removed);
  auto live = observation("deployment_done").workload;
  auto desired = live;
  desired.edit()["spec"]["replicas"] = 5;
  CHECK_FALSE(diff(live, desired).new_pods);
}

TEST_CASE("secrets are never shown") {
  const auto before = parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"same":"eA==","changed":"b2xk","gone":"b2xk"},"type":"Opaque"})");
  const auto after = parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"same":"eA==","changed":"bmV3","fresh":"bmV3"},"type":"Opaque"})");
  CHECK(lines(before, after) == Lines{"~ data.changed: changed", "+ data.fresh", "- data.gone"});
  const auto none = parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"type":"Opaque"})");
  for (const auto& line : lines(none, after)) CHECK_MESSAGE(line.find("bmV3") == std::string::npos, line);

  auto live = observation("deployment_done").workload, desired = live;
  desired.edit()["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "other";
  CHECK(lines(live, desired) == Lines{"~ spec.template.spec.containers[web].env[DB_PASSWORD].value: changed"});
  desired.edit()["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = "postgres://shop:hunter2@db/shop";
  for (const auto& line : lines(live, desired)) CHECK_MESSAGE(line.find("hunter2") == std::string::npos, line);
  desired.edit()["spec"]["template"]["spec"]["containers"].push_back({{"name", "more"}, {"env", {{{"name", "API_TOKEN"}, {"value", "abc123"}}}}});
  for (const auto& line : lines(live, desired)) CHECK_MESSAGE(line.find("abc123") == std::string::npos, line);
}

TEST_CASE("long texts are told by their lines; nothing is longer than it may be") {
  const auto before = parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"nginx.conf":"a\nb\nc\n"}})");
  const auto after = parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"nginx.conf":"a\nB\nc\nd\n"}})");
  CHECK(lines(before, after) == Lines{"~ data[\"nginx.conf\"]: 2 lines changed"});
  const FieldChange change{Sign::changed, "data.x", std::string(200, 'a'), "ü" + std::string(200, 'b'), false};
  CHECK(change.text(60).size() <= 70);
}

TEST_CASE("what people name freely may be called like a secret; of a document nothing is shown") {
  const auto config = [](const char* value) {
    return Object::parse(std::string{R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","annotations":{"vault/token":")"} + value + R"("}},"data":{"db.password":")" + value +
                         R"(","settings.json":"{\"db\":{\"password\":\")" + value + R"(\"}}","dsn":"host=db password=)" + value + R"( dbname=shop","plain":")" + value + R"("}})");
  };
  for (const auto& line : lines(config("hunter2hunter"), config("other9other"))) {
    if (line.find("data.plain") == std::string::npos) CHECK_MESSAGE((line.find("hunter2") == std::string::npos && line.find("other9") == std::string::npos), line);
  }
  auto deployment = observation("deployment_done").workload;
  auto after = deployment;
  after.edit()["spec"]["template"]["metadata"]["annotations"]["vault/token"] = "hunter2hunter";
  CHECK(lines(deployment, after) == Lines{"+ spec.template.metadata.annotations[\"vault/token\"]"});
  const auto bare = Object::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{}})");
  const auto file = Object::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"app":"a=1\nb=hunter2hunter\n"}})");
  CHECK(lines(bare, file) == Lines{"+ data.app: 2 lines"});
}
