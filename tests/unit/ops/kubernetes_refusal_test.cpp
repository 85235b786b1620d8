// What people are told when the cluster refuses a change.
#include <doctest/doctest.h>

#include "lib/ops/kubernetes/apply.hpp"

using namespace codops;
using namespace codops::ops::kubernetes;

TEST_CASE("kubernetes refusal: no hint deletes data") {
  const k8s::ApiError immutable{422, "Invalid", {}, "spec: Forbidden: spec is immutable after creation except resources.requests", {}};
  const auto of = [](const char* kind) {
    return kube::Object::parse(std::string{R"({"apiVersion":"v1","kind":")"} + kind + R"(","metadata":{"name":"data","namespace":"shop"}})");
  };
  for (const auto* kind : {"PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition"}) {
    const auto hint = way_out(of(kind), immutable);
    CHECK_MESSAGE(hint.find("kubectl") == std::string::npos, hint);
  }
  CHECK(way_out(of("PersistentVolumeClaim"), immutable).find("deletes its data with it") != std::string::npos);
  CHECK(way_out(of("PersistentVolumeClaim"), {422, "Invalid", {}, "field can not be less than status.capacity", {}}).find("deletes its data with it") != std::string::npos);
  CHECK(way_out(of("ConfigMap"), immutable).find("delete configmap data") != std::string::npos);
}
