// One branch of a field that another hand has written, and the other one that the manifest says.
#include "lib/kube/written_whole.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace codops::kube;

namespace {

Object web(const char* probe) {
  return Object::parse(std::string{R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"n","resourceVersion":"7"},"spec":{"replicas":3,
    "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"web:1","readinessProbe":)"} + probe + "}]}}}}");
}
Object by(Object object, const char* manager, const char* fields, const char* subresource = "") {
  object.edit()["metadata"]["managedFields"] = {{{"manager", manager}, {"operation", "Update"}, {"subresource", subresource}, {"fieldsV1", nlohmann::json::parse(fields)}}};
  return object;
}
constexpr const char* probe_fields = R"({"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:readinessProbe":{"f:tcpSocket":{"f:port":{}}}}}}}}})";
const Object hand = by(web(R"({"tcpSocket":{"port":80}})"), "kubectl-patch", probe_fields);
const Object record = web(R"({"httpGet":{"port":80}})");

}  // namespace

TEST_CASE("the branch of another hand goes when the template is written whole") {
  auto wanted = record;
  wanted.edit()["spec"].erase("replicas");
  const auto whole = written_whole(hand, wanted);
  REQUIRE(whole);
  const auto& container = whole->json().at("spec").at("template").at("spec").at("containers").at(0);
  CHECK(container.at("readinessProbe").dump() == R"({"httpGet":{"port":80}})");
  CHECK(whole->json().at("spec").at("replicas") == 3);
  CHECK(whole->resource_version() == "7");
  CHECK_FALSE(whole->json().at("metadata").contains("managedFields"));
  // Where nobody else has written there is nothing in the way.
  CHECK_FALSE(written_whole(by(web("{}"), "codops", probe_fields), record));
  CHECK_FALSE(written_whole(Object::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{}})"), record));
}

TEST_CASE("what another hand changed is not in the record: going back by it would be another object") {
  CHECK(others_changed(hand, record));
  CHECK_FALSE(others_changed(hand, web(R"({"tcpSocket":{"port":80}})")));
  CHECK_FALSE(others_changed(by(record, "kube-controller-manager", R"({"f:spec":{"f:replicas":{}}})"), web("{}")));
  CHECK_FALSE(others_changed(by(record, "hpa", R"({"f:spec":{"f:paused":{}}})", "scale"), record));
}
