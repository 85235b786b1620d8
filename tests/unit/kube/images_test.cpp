#include "lib/kube/images.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/kube/manifests.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

std::vector<Object> objects() {
  return read_manifests(R"yaml(
apiVersion: apps/v1
kind: Deployment
metadata: {name: backend, labels: {version: "${VERSION}"}}
spec:
  template:
    spec:
      initContainers: [{name: wait, image: busybox:1}]
      containers:
      - {name: app, image: "ghcr.io/shop/backend:${VERSION:-latest}", args: ["$HOME ${OTHER} ${VERSIONS} $(VERSION)"]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pair}
spec: {template: {spec: {containers: [{name: one, image: "localhost:5000/one"}, {name: two, image: "two:1", imagePullPolicy: Never}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: night, image: "ghcr.io/shop/backend:v0"}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: script}
data: {run.sh: "echo ${VERSION}"}
)yaml",
                        "m.yaml")
      .objects;
}

std::string image(const std::vector<Object>& all, const std::string& container) {
  for (const auto& one : images_of(all)) {
    if (one.container == container) return one.image;
  }
  return "none";
}

}  // namespace

TEST_CASE("the version variable, in any text but data; other variables stay") {
  auto all = objects();
  CHECK(put_version(all, {"VERSION", "v1.2.0", {}}));
  CHECK(image(all, "app") == "ghcr.io/shop/backend:v1.2.0");
  CHECK(all[0].label("version") == "v1.2.0");
  CHECK(all[0].json()["spec"]["template"]["spec"]["containers"][0]["args"][0] == "$HOME ${OTHER} ${VERSIONS} $(VERSION)");
  CHECK(all[3].json()["data"]["run.sh"] == "echo ${VERSION}");
}

TEST_CASE("without a version a variable needs a default") {
  auto all = objects();
  CHECK_THROWS_WITH_AS(put_version(all, {}), doctest::Contains("m.yaml:4:36: ${VERSION} has no value here"), Failure);
  all[0].edit()["metadata"].erase("labels");
  CHECK_FALSE(put_version(all, {}));
  CHECK(image(all, "app") == "ghcr.io/shop/backend:latest");
}

TEST_CASE("images of codops.yaml") {
  const auto put = [](const std::string& key) {
    auto all = objects();
    CHECK(put_version(all, {"VERSION", "v2", {{key, "new:{version}"}}}));
    return all;
  };
  CHECK(image(put("backend"), "app") == "new:v2");
  CHECK(image(put("backend"), "wait") == "busybox:1");
  CHECK(image(put("backend/wait"), "wait") == "new:v2");
  CHECK(image(put("pair/two"), "two") == "new:v2");
  CHECK(image(put("nightly"), "night") == "new:v2");
  const auto both = put("ghcr.io/shop/backend");
  CHECK(image(both, "night") == "new:v2");
  CHECK(image(both, "one") == "localhost:5000/one");
  auto all = objects();
  CHECK_THROWS_WITH_AS(put_version(all, {"VERSION", "v2", {{"pair", "x:{version}"}}}), doctest::Contains("\"pair\" has 2 containers"), Failure);
  CHECK_THROWS_WITH_AS(put_version(all, {"VERSION", "v2", {{"bakend", "x:{version}"}}}), doctest::Contains("no workload and no image of the manifests is called \"bakend\""), Failure);
}

TEST_CASE("a version that reaches nothing is told") {
  auto all = objects();
  all.erase(all.begin());
  CHECK_FALSE(put_version(all, {"VERSION", "v2", {}}));
  CHECK_FALSE(put_version(all, {"VERSION", "v2", {{"nightly", "fixed:1"}}}));
}

TEST_CASE("digests where they can be had, asked once each") {
  auto all = objects();
  static_cast<void>(put_version(all, {"VERSION", "v0", {}}));
  std::vector<std::string> asked;
  const auto pinned = pin_images(all, [&](const std::string& name) -> std::optional<std::string> {
    asked.push_back(name);
    if (name.starts_with("ghcr.io")) return "sha256:abc";
    return std::nullopt;
  });
  CHECK(asked == std::vector<std::string>{"busybox:1", "ghcr.io/shop/backend:v0", "localhost:5000/one"});
  CHECK(image(all, "app") == "ghcr.io/shop/backend:v0@sha256:abc");
  CHECK(image(all, "night") == "ghcr.io/shop/backend:v0@sha256:abc");
  CHECK(image(all, "two") == "two:1");
  CHECK(pinned.unresolved == std::vector<std::string>{"busybox:1", "localhost:5000/one"});
  CHECK(pinned.digests.at("ghcr.io/shop/backend:v0") == "sha256:abc");
}

TEST_CASE("an image's parts") {
  CHECK(parse_image("localhost:5000/x").repository == "localhost:5000/x");
  CHECK(parse_image("localhost:5000/x:1").tag == "1");
  CHECK(parse_image("nginx@sha256:a").digest == "sha256:a");
  CHECK(parse_image("a/b:c@sha256:d").tag == "c");
}
