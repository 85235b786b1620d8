#include "lib/kube/secret_data.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/kube/manifests.hpp"
#include "lib/kube/ownership.hpp"

using namespace codops;
using namespace codops::kube;

TEST_CASE("stringData is applied as data, base64 as the server keeps it") {
  auto secret = Object::parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"A":"b2xk\nb2xk\n","B":"eA=="},"stringData":{"A":"new","C":null}})");
  settle_secret(secret);
  CHECK(secret.json().at("data").dump() == R"({"A":"bmV3","B":"eA==","C":""})");
  CHECK(!secret.json().contains("stringData"));
  auto folded = Object::parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"A":"b2xk\nb2xk\n"}})");
  settle_secret(folded);
  CHECK(folded.json().at("data").at("A") == "b2xkb2xk");
  auto config = Object::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"s"},"data":{"A":"a\nb\n"}})");
  settle_secret(config);
  CHECK(config.json().at("data").at("A") == "a\nb\n");
}

TEST_CASE("values that are no text are refused by their place, and not quoted") {
  try {
    static_cast<void>(read_manifests("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  PIN: 12345678\n  OK: \"1\"\n", "m.yaml"));
    FAIL("accepted");
  } catch (const Failure& failure) {
    CHECK(failure.message().find("m.yaml:5:") == 0);
    CHECK(failure.message().find("\"PIN\" in stringData has to be text, and is a number") != std::string::npos);
    CHECK(failure.message().find("12345678") == std::string::npos);
  }
}

TEST_CASE("keys that were applied as stringData become codops' own, so that one that is taken out goes") {
  const auto live = Object::parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"n","resourceVersion":"7","managedFields":[
    {"manager":"codops","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:stringData":{"f:A":{},"f:B":{}},"f:type":{}}}]},"data":{"A":"eA==","B":"eA=="},"type":"Opaque"})");
  auto desired = Object::parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"n"},"data":{"A":"eA=="},"type":"Opaque"})");
  const auto adoption = adoption_of(live, desired, "codops");
  REQUIRE(adoption);
  CHECK(adoption->drops == std::vector<std::string>{".data.B"});
  CHECK(adoption->patch.find(R"("f:data":{"f:A":{},"f:B":{}})") != std::string::npos);
  CHECK(adoption->patch.find("stringData") == std::string::npos);
}
