#include "lib/kube/plain.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/kube/manifests.hpp"

using namespace codops::kube;

namespace {

Object read(const std::string& yaml) { return read_manifests("apiVersion: v1\n" + yaml, "m.yaml").objects.front(); }
Object service(const std::string& spec) { return read("kind: Service\nmetadata: {name: web}\nspec: " + spec + "\n"); }

}  // namespace

TEST_CASE("a plain object is one in which the API server finds nothing wrong") {
  for (const char* good : {"kind: ConfigMap\nmetadata: {name: a.b, namespace: shop, labels: {app.kubernetes.io/name: x, empty: ''}, annotations: {example.com/Note: 'any text'}}\ndata: {_.key-1: '', K: v}",
                           "kind: ConfigMap\nmetadata: {name: a}",
                           "kind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, type: ClusterIP, ports: [{port: 80, targetPort: http}]}",
                           "kind: Service\nmetadata: {name: web}\nspec: {ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP, targetPort: 5353}]}"}) {
    CAPTURE(good);
    CHECK(is_plain(read(good)));
  }
}

TEST_CASE("everything else is the server's to judge") {
  for (const char* other : {"kind: Secret\nmetadata: {name: a}", "kind: ConfigMap\nmetadata: {name: A}", "kind: ConfigMap\nmetadata: {name: a..b}",
                            "kind: ConfigMap\nmetadata: {name: a}\ndata: {'a b': x}", "kind: ConfigMap\nmetadata: {name: a}\ndata: {..a: x}", "kind: ConfigMap\nmetadata: {name: a}\nimmutable: true",
                            "kind: ConfigMap\nmetadata: {name: a, labels: {k: '-x'}}", "kind: ConfigMap\nmetadata: {name: a, labels: {'/k': x}}", "kind: ConfigMap\nmetadata: {name: a, finalizers: [x/y]}",
                            "kind: ConfigMap\nmetadata: {name: a, annotations: {'a b': x}}", "kind: Service\nmetadata: {name: 1a}\nspec: {ports: [{port: 80}]}", "kind: Service\nmetadata: {name: a}"}) {
    CAPTURE(other);
    CHECK_FALSE(is_plain(read(other)));
  }
  for (const char* spec : {"{}", "{ports: []}", "{ports: [{port: 0}]}", "{ports: [{port: 65536}]}", "{ports: [{port: '80'}]}", "{ports: [{targetPort: 80}]}", "{ports: [{port: 80}, {port: 81}]}",
                           "{ports: [{port: 80, nodePort: 30000}]}",
                           "{ports: [{port: 80, protocol: SCTP}]}", "{ports: [{port: 80, targetPort: longer-than-fifteen}]}", "{ports: [{port: 80, targetPort: '80'}]}", "{type: NodePort, ports: [{port: 80}]}",
                           "{clusterIP: None, ports: [{port: 80}]}", "{selector: {a: 1}, ports: [{port: 80}]}"}) {
    CAPTURE(spec);
    CHECK_FALSE(is_plain(service(spec)));
  }
}

TEST_CASE("ports are told apart by name and by number") {
  const auto with = [](const char* ports) { return Object::parse(std::string{R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"ports":)"} + ports + "}}"); };
  CHECK(is_plain(with(R"([{"name":"a","port":80},{"name":"b","port":81}])")));
  CHECK_FALSE(is_plain(with(R"([{"name":"a","port":80},{"name":"a","port":81}])")));
  CHECK_FALSE(is_plain(with(R"([{"name":"a","port":80},{"name":"b","port":80}])")));
  CHECK_FALSE(is_plain(with(R"([{"name":"a","port":80},{"port":81}])")));
}

TEST_CASE("what a plain change makes of an object that codops alone wrote") {
  const auto live = Object::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"u","labels":{"app":"a","old":"x"},"managedFields":[{"manager":"codops","operation":"Apply",
    "fieldsV1":{"f:metadata":{"f:labels":{"f:app":{},"f:old":{}}},"f:data":{"f:keep":{},"f:gone.key":{}}}}]},"data":{"keep":"1","gone.key":"2"}})");
  const auto result = plain_result(live, read("kind: ConfigMap\nmetadata: {name: a, labels: {app: b}, annotations: {n: t}}\ndata: {keep: '3', new: '4'}"));
  REQUIRE(result);
  CHECK(result->json().at("data") == nlohmann::json{{"keep", "3"}, {"new", "4"}});
  CHECK(result->json().at("metadata").at("labels") == nlohmann::json{{"app", "b"}});
  CHECK(result->json().at("metadata").at("annotations") == nlohmann::json{{"n", "t"}});
  CHECK(result->uid() == "u");
  CHECK(live.label("old") == "x");

  const auto changed = read("kind: ConfigMap\nmetadata: {name: a}\ndata: {keep: '3'}");
  for (const char* other : {R"([])", R"([{"manager":"kubectl","operation":"Update","fieldsV1":{}}])", R"([{"manager":"codops","operation":"Update","fieldsV1":{"f:data":{"f:keep":{}}}}])",
                            R"([{"manager":"codops","operation":"Apply","fieldsV1":{"f:immutable":{}}}])",
                            R"([{"manager":"codops","operation":"Apply","fieldsV1":{"f:data":{"f:keep":{}}}},{"manager":"x","operation":"Update","fieldsV1":{"f:data":{"f:new":{}}}}])"}) {
    CAPTURE(other);
    auto theirs = live;
    theirs.edit()["metadata"]["managedFields"] = nlohmann::json::parse(other);
    CHECK_FALSE(plain_result(theirs, changed));
  }
  auto going = live;
  going.edit()["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  CHECK_FALSE(plain_result(going, changed));
  CHECK_FALSE(plain_result(live, read("kind: ConfigMap\nmetadata: {name: a}\nimmutable: true")));
}

TEST_CASE("a Service's spec is the server's to change") {
  const auto live = Object::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web","labels":{"v":"1"},"managedFields":[{"manager":"codops","operation":"Apply","fieldsV1":{"f:metadata":{"f:labels":{"f:v":{}}},
    "f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}},"f:selector":{}}}}]},"spec":{"clusterIP":"10.0.0.1","selector":{"app":"web"},"ports":[{"port":80,"protocol":"TCP","targetPort":80}]}})");
  const auto with = [](const std::string& spec) { return read("kind: Service\nmetadata: {name: web, labels: {v: '2'}}\nspec: " + spec + "\n"); };
  const auto result = plain_result(live, with("{selector: {app: web}, ports: [{port: 80}]}"));
  REQUIRE(result);
  CHECK(result->label("v") == "2");
  CHECK(result->json().at("spec") == live.json().at("spec"));
  CHECK_FALSE(plain_result(live, with("{selector: {app: other}, ports: [{port: 80}]}")));
  CHECK_FALSE(plain_result(live, with("{selector: {app: web}, ports: [{port: 81}]}")));
  CHECK_FALSE(plain_result(live, with("{ports: [{port: 80}]}")));
}

TEST_CASE("what comes near the server's limits is not plain") {
  CHECK_FALSE(is_plain(read("kind: ConfigMap\nmetadata: {name: a}\ndata: {k: " + std::string(600 * 1024, 'x') + "}")));
  CHECK_FALSE(is_plain(read("kind: ConfigMap\nmetadata: {name: a, annotations: {k: " + std::string(200 * 1024, 'x') + "}}")));
}
