#include "lib/kube/window.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/kube/manifests.hpp"

using namespace codops;
using namespace codops::kube;
using namespace std::chrono_literals;

namespace {

Object workload(const std::string& kind, const std::string& spec) {
  return read_manifests("apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: web, namespace: shop}\nspec: " + spec + "\n", "m.yaml").objects.front();
}

}  // namespace

TEST_CASE("what the manifest leaves open is set for the window, as another manager") {
  struct Case {
    const char *kind, *spec, *patch, *note;
  };
  const Case cases[] = {
      {"Deployment", "{}", R"({"minReadySeconds":10,"strategy":{"rollingUpdate":{"maxUnavailable":0}}})", ""},
      {"Deployment", "{minReadySeconds: 30}", R"({"strategy":{"rollingUpdate":{"maxUnavailable":0}}})", ""},
      {"Deployment", "{minReadySeconds: 3}", R"({"strategy":{"rollingUpdate":{"maxUnavailable":0}}})", "sets minReadySeconds 3 itself"},
      {"Deployment", "{strategy: {rollingUpdate: {maxUnavailable: 1}}}", R"({"minReadySeconds":10})", "sets maxUnavailable itself"},
      {"Deployment", "{strategy: {rollingUpdate: {maxUnavailable: 0}}}", R"({"minReadySeconds":10})", ""},
      {"Deployment", "{strategy: {rollingUpdate: {maxSurge: 0}}}", R"({"minReadySeconds":10})", "sets maxSurge 0"},
      {"Deployment", "{progressDeadlineSeconds: 5}", R"({"minReadySeconds":4,"strategy":{"rollingUpdate":{"maxUnavailable":0}}})", "has progressDeadlineSeconds 5"},
      {"Deployment", "{strategy: {type: Recreate}}", "", "has strategy Recreate"},
      {"Deployment", "{replicas: 0}", "", ""},
      {"StatefulSet", "{replicas: 3}", R"({"minReadySeconds":10})", ""},
      {"StatefulSet", "{}", R"({"minReadySeconds":10})", "has one pod"},
      {"StatefulSet", "{updateStrategy: {type: OnDelete}}", "", ""},
      {"DaemonSet", "{}", R"({"minReadySeconds":10})", ""},
  };
  for (const auto& one : cases) {
    CAPTURE(one.spec);
    std::string note;
    const auto window = window_for(workload(one.kind, one.spec), 9500ms, &note);
    CHECK((window ? window->patch.json()["spec"].dump() : "") == one.patch);
    CHECK_MESSAGE(note.find(one.note) != std::string::npos, note);
    CHECK(note.empty() == std::string{one.note}.empty());
    if (!window) continue;
    CHECK(window->patch.namespace_() == "shop");
    CHECK_FALSE(window->release.json().contains("spec"));
  }
  CHECK_FALSE(window_for(workload("Deployment", "{}"), 0ms));
}

TEST_CASE("advice, with the line where it belongs and the lines to add") {
  const auto all = read_manifests(R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  strategy:
    rollingUpdate: {maxUnavailable: 100%}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        ports: [{containerPort: 8080}]
      - name: sidecar
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker}
spec: {replicas: 2, template: {metadata: {labels: {app: worker}}, spec: {containers: [{name: w}]}}}
)",
                                  "m.yaml")
                       .objects;
  std::vector<std::string> seen;
  for (const auto& advice : advise(all)) {
    CHECK(advice.ref.name == "web");
    CHECK(advice.lines.size() == 2);
    seen.push_back(advice.at.text() + " " + advice.what.substr(0, advice.what.find(':')));
  }
  CHECK(seen == std::vector<std::string>{"m.yaml:13:9 container \"web\" has no readinessProbe", "m.yaml:13:9 container \"web\" has no preStop", "m.yaml:7:21 maxUnavailable 100% with 2 replicas",
                                         "m.yaml:1:1 has no PodDisruptionBudget"});
}

TEST_CASE("nothing to say of a workload that has it all") {
  const auto all = read_manifests(R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, readinessProbe: {httpGet: {port: 80}}, lifecycle: {preStop: {sleep: {seconds: 5}}}}]}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}}
)",
                                  "m.yaml")
                       .objects;
  CHECK(advise(all).empty());
}

TEST_CASE("replicas belong to the autoscaler") {
  auto desired = read_manifests("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2}}\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: other}, spec: {replicas: 2}}\n---\n"
                                "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}",
                                "m.yaml")
                     .objects;
  auto again = desired;
  CHECK(drop_scaled_replicas(desired, {}, {}, "codops").size() == 1);
  CHECK_FALSE(desired[0].json()["spec"].contains("replicas"));
  CHECK(desired[1].json()["spec"]["replicas"] == 2);
  // Where codops alone owns it, leaving it out would set it to 1.
  const auto live = Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","managedFields":[{"manager":"codops","operation":"Apply","fieldsV1":{"f:spec":{"f:replicas":{}}}}]},"spec":{"replicas":7}})");
  static_cast<void>(drop_scaled_replicas(again, {live}, {}, "codops"));
  CHECK(again[0].json()["spec"]["replicas"] == 7);
}
