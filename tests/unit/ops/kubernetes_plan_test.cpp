#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/ops/kubernetes/plan.hpp"

using namespace codops;
using namespace codops::ops::kubernetes;

namespace {

kube::Object deployment(const std::string& image) {
  return kube::Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":2,
    "selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":")" + image + R"("}]}}}})");
}
kube::Object config(const std::string& name) {
  return kube::Object::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name + R"(","namespace":"shop"},"data":{"a":"b"}})");
}
kube::Object job_using(const std::string& config_name) {
  return kube::Object::parse(R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"migrate","namespace":"shop"},"spec":{"template":{"spec":{"containers":[{"name":"m","image":"x",
    "envFrom":[{"configMapRef":{"name":")" + config_name + R"("}}]}]}}}})");
}

struct Site {
  kube::ApplySet set{"codops-shop", "shop", "codops/0.1"};
  Observed observed;
  release::Release next;
  PlanOptions options;

  Site() {
    next.number = 2;
    next.version = "v2";
    next.environment = "test";
    options.token = "token";
    options.monitor = Milliseconds{5000};
  }
  void serves(std::vector<kube::Object> objects) {
    kube::join(objects, set);
    release::Release current;
    current.number = 1;
    current.version = "v1";
    observed.snapshot.releases.emplace(1, current);
    release::HistoryEntry entry;
    entry.number = entry.release = 1;
    entry.result = "ok";
    observed.snapshot.history.push_back(entry);
    observed.current_objects = objects;
    observed.members = objects;
    for (const auto& object : objects) observed.live.emplace(object.ref(), object);
  }
  // The server changes nothing by itself.
  Planned plan(std::vector<kube::Object> objects) {
    kube::join(objects, set);
    std::vector<Trial> trials;
    for (const auto& object : objects) trials.push_back({object, {}});
    return plan_release(next, objects, trials, observed, set, options);
  }
};

std::vector<std::string> names_of(const plan::Plan& plan) {
  std::vector<std::string> names;
  for (const auto& step : plan.steps) names.push_back(step.name);
  return names;
}
nlohmann::json args_of(const plan::Plan& plan, const std::string& name) {
  for (const auto& step : plan.steps) {
    if (step.name == name) return nlohmann::json::parse(step.args);
  }
  return {};
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("kubernetes plan: a first release applies and watches") {
  Site site;
  const auto planned = site.plan({config("c"), deployment("web:v2")});
  CHECK(names_of(planned.plan) == Names{"apply", "rollout"});
  CHECK(args_of(planned.plan, "apply").at("added").size() == 2);
  CHECK(args_of(planned.plan, "apply").at("windows").empty());
  CHECK(planned.plan.from == 0);
}

TEST_CASE("kubernetes plan: nothing changed is no plan") {
  Site site;
  site.serves({config("c"), deployment("web:v1")});
  site.next.version = "v1";
  CHECK(site.plan({config("c"), deployment("web:v1")}).plan.empty());
}

TEST_CASE("kubernetes plan: changed pods have a window, what is gone is pruned behind the proof") {
  Site site;
  site.serves({config("c"), config("old"), deployment("web:v1")});
  const auto planned = site.plan({config("c"), deployment("web:v2")});
  CHECK(names_of(planned.plan) == Names{"apply", "rollout", "settle", "prune"});
  CHECK(args_of(planned.plan, "apply").at("changed") == nlohmann::json{"apps/Deployment/shop/web"});
  CHECK(args_of(planned.plan, "apply").at("windows") == nlohmann::json{"apps/Deployment/shop/web"});
  CHECK(args_of(planned.plan, "prune").at("gone").at(0).at("key") == "/ConfigMap/shop/old");
  CHECK(planned.plan.steps[1].phase == plan::Phase::proven);
  CHECK(planned.plan.steps[0].undo == "re-apply release 1");
}

TEST_CASE("kubernetes plan: what a migration needs comes before it") {
  Site site;
  site.serves({config("c"), deployment("web:v1")});
  site.options.migrate = "job migrate";
  site.options.migrations = {job_using("fresh")};
  const auto planned = site.plan({config("c"), config("fresh"), deployment("web:v2")});
  CHECK(names_of(planned.plan) == Names{"prepare", "migrate", "apply", "rollout", "settle"});
  CHECK(args_of(planned.plan, "prepare").at("added") == nlohmann::json{"/ConfigMap/shop/fresh"});
  CHECK(planned.plan.steps[1].no_undo == "what it committed stays");
}

TEST_CASE("kubernetes plan: a live object without a record is kept for the way back") {
  Site site;
  const auto live = config("c");
  site.observed.live.emplace(live.ref(), live);
  auto wanted = config("c");
  wanted.edit()["data"]["a"] = "changed";
  const auto planned = site.plan({wanted});
  REQUIRE(planned.before.size() == 1);
  CHECK(planned.before[0].json().at("data").at("a") == "b");
}

TEST_CASE("kubernetes plan: pods that can't stand side by side are downtime") {
  Site site;
  auto before = deployment("web:v1");
  before.edit()["spec"]["strategy"]["type"] = "Recreate";
  auto after = deployment("web:v2");
  after.edit()["spec"]["strategy"]["type"] = "Recreate";
  site.serves({before});
  CHECK(site.plan({after}).plan.downtime.size() == 1);
}

TEST_CASE("kubernetes plan: what is taken from another manager is kept for the way back, though a release has the object on record") {
  Site site;
  auto theirs = config("c");
  theirs.edit()["data"]["a"] = "theirs";
  site.serves({config("c")});
  theirs.edit()["metadata"]["managedFields"] = {{{"manager", "gitops"}, {"operation", "Apply"}, {"fieldsV1", {{"f:data", {{"f:a", nlohmann::json::object()}}}}}}};
  site.observed.live.insert_or_assign(theirs.ref(), theirs);
  const auto planned = site.plan({config("c")});
  REQUIRE(planned.before.size() == 1);
  CHECK(planned.before[0].json()["data"]["a"] == "theirs");
  CHECK(planned.before[0].json()["metadata"].contains("managedFields"));
}

TEST_CASE("kubernetes plan: what is being deleted already is not pruned") {
  Site site;
  auto going = config("old");
  going.edit()["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  site.serves({config("c"), going});
  site.next.version = "v1";
  CHECK(site.plan({config("c")}).plan.empty());
}

TEST_CASE("kubernetes: members of another set") {
  const kube::ApplySet set{"codops-shop", "shop", "codops/0.1"};
  auto object = config("c");
  CHECK(kube::other_set(object, set).empty());
  object.set_label(kube::applyset_part_of, set.id());
  CHECK(kube::other_set(object, set).empty());
  object.set_label(kube::applyset_part_of, "applyset-other-v1");
  CHECK(kube::other_set(object, set) == "applyset-other-v1");
}
