#include "lib/kube/service_reach.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/kube/fields.hpp"
#include "lib/kube/order.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

Object service(const std::string& spec) { return Object::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"n"},"spec":)" + spec + "}"); }
Object slice(const std::string& endpoints) {
  return Object::parse(R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-x","namespace":"n","labels":{"kubernetes.io/service-name":"web"}},"endpoints":)" + endpoints + "}");
}

}  // namespace

TEST_CASE("which pods a Service means, how many take requests, and what was changed of it") {
  const auto workload = Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"n"},"spec":{"template":{"metadata":{"labels":{"app":"web","tier":"front"}}}}})");
  const auto web = service(R"({"selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080}]})");
  CHECK(is_led_to(web, workload));
  CHECK(!is_led_to(service(R"({"selector":{"app":"nope"}})"), workload));
  CHECK(!is_led_to(service(R"({"ports":[]})"), workload));
  CHECK(!is_led_to(service(R"({"type":"ExternalName","selector":{"app":"web"}})"), workload));
  CHECK(ready_endpoints(web, {slice(R"([{"conditions":{"ready":true}},{"conditions":{"ready":false}},{}])"), slice("null")}) == 2);
  const auto live = service(R"({"selector":{"app":"nope"},"ports":[{"port":80,"targetPort":8080,"protocol":"TCP","nodePort":30001}]})");
  CHECK(service_drift(web, live) == std::vector<std::string>{"its selector is app=nope, not app=web"});
  CHECK(service_drift(web, service(R"({"selector":{"app":"web"},"ports":[{"port":80,"targetPort":9}]})")) == std::vector<std::string>{"its ports were changed"});
}

TEST_CASE("what an apply would make of a resource that the server can't be asked about") {
  const auto live = nlohmann::json::parse(R"({"metadata":{"managedFields":[{"manager":"codops","operation":"Apply","fieldsV1":{"f:spec":{"f:size":{},"f:old":{}}}}]},"spec":{"size":1,"old":2,"theirs":3,"list":[1,2]}})");
  const auto result = merged(live, nlohmann::json::parse(R"({"spec":{"size":5,"colour":"red","list":[3]}})"), "codops");
  CHECK(result.at("spec").dump() == R"({"colour":"red","list":[3],"size":5,"theirs":3})");
  const auto crd = Object::parse(R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"w"},"spec":{"group":"g.example.com","names":{"kind":"Widget"}}})");
  REQUIRE(defined_kind(crd));
  CHECK(defined_kind(crd)->kind == "Widget");
  CHECK(!defined_kind(Object::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"w"}})")));
}
