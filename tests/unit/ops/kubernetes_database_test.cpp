#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"
#include "lib/ops/kubernetes/database.hpp"

using namespace codops;

TEST_CASE("kubernetes: the database's URL stands in a Secret, in lines as kustomize breaks them") {
  const std::string url = "postgresql://shop:0123456789abcdef0123456789abcdef@postgres:5432/shop";
  auto encoded = io::to_base64(url);
  encoded.insert(70, "\\n");
  const std::vector<kube::Object> objects{
      kube::Object::parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s-1","namespace":"shop"},"data":{"DATABASE_URL":")" + encoded + R"(\n"}})"),
      kube::Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"backend","namespace":"shop"},
        "spec":{"template":{"spec":{"containers":[{"name":"backend","envFrom":[{"secretRef":{"name":"s-1"}}]}]}}}})"),
  };
  const auto found = ops::kubernetes::database_of(objects, "DATABASE_URL", "");
  REQUIRE(found);
  CHECK(found->workload == "backend");
  CHECK(found->url == url);
  CHECK_FALSE(ops::kubernetes::database_of(objects, "DATABASE_URL", "frontend"));
}

TEST_CASE("kubernetes: a database in pieces, from a ConfigMap and a Secret") {
  const std::vector<kube::Object> objects{
      kube::Object::parse(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"shop"},"stringData":{"DB_PASSWORD":"p"}})"),
      kube::Object::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"shop"},"data":{"DB_HOST":"postgres","DB_USER":"u","DB_NAME":"d"}})"),
      kube::Object::parse(R"({"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a-store","namespace":"shop"},
        "spec":{"template":{"spec":{"containers":[{"name":"postgres","image":"postgres:15","envFrom":[{"configMapRef":{"name":"c"}}]}]}}}})"),
      kube::Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"backend","namespace":"shop"},
        "spec":{"template":{"spec":{"containers":[{"name":"backend","image":"shop/backend:1","envFrom":[{"configMapRef":{"name":"c"}},{"secretRef":{"name":"s"}}]}]}}}})"),
  };
  const auto found = ops::kubernetes::database_in_pieces(objects, "", false);
  REQUIRE(found);
  CHECK(found->workload == "backend");
  CHECK(found->url == "postgresql://u:p@postgres/d");
  CHECK_FALSE(ops::kubernetes::database_of(objects, "DATABASE_URL", ""));
}

TEST_CASE("kubernetes: a URL put together of keys, out of a Secret that no manifest has") {
  const std::vector<kube::Object> objects{
      kube::Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop"},"spec":{"template":{"spec":{"containers":[{"name":"web","env":[
        {"name":"U","value":"ignored"},{"name":"U","valueFrom":{"secretKeyRef":{"name":"pg","key":"user"}}},
        {"name":"DATABASE_URL","value":"postgres://$(U):$(P)@db/$(D)$$"}],"envFrom":[{"secretRef":{"name":"pg"},"prefix":""}]}]}}}})"),
  };
  int asked = 0;
  const ops::kubernetes::ReadLive live = [&](const std::string& kind, const std::string& namespace_, const std::string& name) -> std::optional<nlohmann::json> {
    ++asked;
    if (kind != "Secret" || namespace_ != "shop" || name != "pg") return std::nullopt;
    return nlohmann::json{{"data", {{"user", io::to_base64("shop")}, {"P", io::to_base64("pw$(U)")}}}};
  };
  const auto found = ops::kubernetes::database_of(objects, "DATABASE_URL", "", live);
  REQUIRE(found);
  CHECK(found->url == "postgres://shop:pw$(U)@db/$(D)$");
  CHECK(asked > 0);
  CHECK(ops::kubernetes::database_of(objects, "DATABASE_URL", "")->url == "postgres://$(U):$(P)@db/$(D)$");
  CHECK_FALSE(ops::kubernetes::holds_postgres(objects));
}
