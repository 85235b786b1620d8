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
