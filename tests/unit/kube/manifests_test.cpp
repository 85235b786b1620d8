#include "lib/kube/manifests.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/io/files.hpp"
#include "lib/kube/kustomize.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

std::string error_of(const std::string& text) {
  try {
    static_cast<void>(read_manifests(text, "m.yaml"));
    return "no error";
  } catch (const Failure& failure) {
    CHECK(static_cast<int>(failure.code()) == static_cast<int>(Exit::config));
    return failure.message();
  }
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string kustomize_error(const std::string& text) {
  const io::TemporaryFolder folder;
  io::write_file(folder.path() / "kustomization.yaml", text);
  try {
    static_cast<void>(render_kustomization(folder.path(), folder.path()));
    return "no error";
  } catch (const Failure& failure) {
    return failure.message() + " | " + failure.hint();
  }
}

}  // namespace

TEST_CASE("a folder: every file in a stable order, lists flattened, each object with its line") {
  const io::TemporaryFolder folder;
  const auto path = folder.path();
  std::filesystem::create_directory(path / "sub");
  io::write_file(path / "b.yml", "# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b1}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b2}}\n---\n");
  io::write_file(path / "a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n");
  io::write_file(path / "sub" / "c.json", R"({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})");
  io::write_file(path / "notes.txt", "not: a manifest");
  io::write_file(path / ".hidden.yaml", "x: [");
  const auto loaded = load_manifests(path, path);
  std::vector<std::string> seen;
  for (const auto& object : loaded.objects) seen.push_back(object.name() + " " + object.at().text());
  CHECK(seen == std::vector<std::string>{"a a.yaml:1:1", "a a.yaml:5:1", "b1 b.yml:6:3", "b2 b.yml:7:3", "c sub/c.json:1:1"});
  CHECK_FALSE(loaded.kustomized);
}

TEST_CASE("scalars as kubectl reads them") {
  const auto loaded = read_manifests("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx: [yes, on, n, 'yes', 0777, 1_000, 1.0, 1e3, 1.5, 2024-01-01, 08, ~]\ndata: {9000: a}\n", "m.yaml");
  CHECK(loaded.objects.front().json()["x"].dump() == R"([true,true,false,"yes",511,1000,1,1000,1.5,"2024-01-01",8,null])");
  CHECK(loaded.objects.front().json()["data"].contains("9000"));
}

TEST_CASE("mistakes are told with their line") {
  struct Case {
    const char* text;
    const char* contains;
  };
  const Case cases[] = {
      {"apiVersion: v1\nkind: ConfigMap\nmetadata:\nname: a\n", "m.yaml:4:1: \"name\" stands beside \"metadata\", which is empty"},
      {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\nreplicas: 2\n", "m.yaml:5:1: \"replicas\" stands beside \"spec\""},
      {"apiVersion: v1\nmetadata: {name: a}\n", "m.yaml:1:1: kind is missing"},
      {"kind: ConfigMap\nmetadata: {name: a}\n", "m.yaml:1:1: apiVersion of ConfigMap is missing"},
      {"foo: bar\n", "m.yaml:1:1: neither apiVersion nor kind"},
      {"- a\n", "m.yaml:1:1: a manifest is a mapping"},
      {"apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: x-\n", "m.yaml:4:3: generateName can't be applied"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {}\n", "m.yaml:3:1: ConfigMap has no name"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: 5\n", "m.yaml:4:3: the name has to be text"},
      {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    v: 1.10\n", "m.yaml:6:8: the value of \"v\" in labels has to be text"},
      {"apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n", "m.yaml:5:1: a/a is there already, in m.yaml:1:1"},
      {"apiVersion: v1\nkind: A\nkind: B\n", "m.yaml:3:1: the key \"kind\" is there already, in line 2"},
      {"apiVersion: v1\nkind: A\nmetadata:\n\tname: a\n", "m.yaml:"},
  };
  for (const auto& one : cases) {
    const auto error = error_of(one.text);
    CHECK_MESSAGE(has(error, one.contains), error);
  }
}

TEST_CASE("items that server-side apply would refuse (k8s#113482)") {
  const auto pod = [](const std::string& container) {
    return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n" + container;
  };
  CHECK(has(error_of(pod("        env:\n        - {name: A, value: a}\n        - {name: B, value: b}\n        - {name: A, value: c}\n")), "m.yaml:12:11: name A is there twice in env (the first is in line 10)"));
  CHECK(has(error_of(pod("        ports:\n        - containerPort: 80\n        - {containerPort: 80, protocol: TCP}\n")), "m.yaml:11:11: containerPort 80, protocol TCP is there twice in ports"));
  CHECK(error_of(pod("        ports:\n        - containerPort: 80\n        - {containerPort: 80, protocol: UDP}\n")) == "no error");
  CHECK(has(error_of(pod("      - name: web\n")), "name web is there twice in containers"));
  CHECK(has(error_of("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 80\n  - port: 80\n"), "port 80, protocol TCP is there twice in ports"));
}

TEST_CASE("everything that is wrong is said at once") {
  const auto error = error_of("apiVersion: v1\nkind: A\n---\napiVersion: v1\nkind: B\n");
  CHECK(has(error, "m.yaml:1:1"));
  CHECK(has(error, "m.yaml:4:1"));
}

TEST_CASE("fields by the API server's paths") {
  const auto object = read_manifests("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    app.kubernetes.io/name: x\nspec:\n  containers:\n  - name: one\n    image: a\n  - name: two\n    image: b\n", "m.yaml").objects.front();
  CHECK(object.at("spec.containers[1].image").text() == "m.yaml:12:5");
  CHECK(object.at("spec.containers[\"two\"].image").text() == "m.yaml:12:5");
  CHECK(object.at("metadata.labels[\"app.kubernetes.io/name\"]").line == 6);
  CHECK(object.at("spec.containers[1].unknown.deep").line == 11);
}

TEST_CASE("a kustomization says what it can't do, and the way out") {
  CHECK(has(kustomize_error("helmCharts: [{name: x}]\n"), "kustomization.yaml:1:1: \"helmCharts\" of a kustomization is not supported here"));
  CHECK(has(kustomize_error("helmCharts: [{name: x}]\n"), "kubectl kustomize"));
  CHECK(has(kustomize_error("resource: [a.yaml]\n"), "unknown field \"resource\" in a kustomization | did you mean \"resources\"?"));
  CHECK(has(kustomize_error("images: [{name: x, newtag: y}]\n"), "unknown key \"newtag\" in images; did you mean \"newTag\"?"));
  CHECK(has(kustomize_error("resources:\n- https://github.com/x/y\n"), "kustomization.yaml:2:3: \"https://github.com/x/y\" is fetched from elsewhere"));
  CHECK(has(kustomize_error("resources: [absent.yaml]\n"), "\"absent.yaml\" is not there"));
  CHECK(has(kustomize_error("resources: [..]\n"), "has no kustomization.yaml"));
  CHECK(has(kustomize_error("configMapGenerator: [{name: a, files: [/etc/hostname]}]\n"), "outside of the kustomization's folder"));
  CHECK(has(kustomize_error("resources: [.]\n"), "includes itself"));
  CHECK(has(kustomize_error("patches:\n- patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}'\n"), "kustomization.yaml:2:3: the patch fits no object"));
  CHECK(has(kustomize_error("labels: [{pairs: {a: b}, includeSelectors: maybe}]\n"), "kustomization.yaml:1:10: includeSelectors has to be true or false"));
  CHECK(has(kustomize_error("namePrefix: {a: b}\nresources: [.]\n"), "includes itself"));
  CHECK(has(kustomize_error("replicas: [{name: a, count: 1}]\n"), "there is no Deployment"));
}

TEST_CASE("a patch that kustomize would lose is an error") {
  const io::TemporaryFolder folder;
  io::write_file(folder.path() / "s.yaml", "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80, protocol: TCP}]}}");
  io::write_file(folder.path() / "kustomization.yaml", "resources: [s.yaml]\npatches:\n- patch: '{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80, name: x}]}}'\n");
  CHECK_THROWS_WITH_AS(static_cast<void>(render_kustomization(folder.path(), folder.path())), doctest::Contains("port 80: protocol is given in one of the patch and the object"), Failure);
}
