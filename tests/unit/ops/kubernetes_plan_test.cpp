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

namespace {

kube::Object named(const std::string& name, const std::string& image) {
  auto made = deployment(image);
  made.edit()["metadata"]["name"] = name;
  made.edit()["spec"]["template"]["metadata"]["labels"]["app"] = name;
  return made;
}
kube::Object service(const std::string& app, const std::string& more = R"("targetPort":8080)") {
  return kube::Object::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"type":"NodePort","selector":{"app":")" + app + R"("},"ports":[{"port":80,)" + more + "}]}}");
}
kube::Object ingress(const std::string& name) {
  return kube::Object::parse(R"({"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"i","namespace":"shop"},"spec":{"defaultBackend":{"service":{"name":")" + name + R"("}}}})");
}
kube::Object warm(const std::string& more) {
  return kube::Object::parse(R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"warm","namespace":"shop"},"spec":{)" + more + R"("template":{"spec":{"containers":[{"name":"m","image":"x"}]}}}})");
}

}  // namespace

TEST_CASE("kubernetes plan: a Service follows the pods that it newly leads to, before the old ones are pruned") {
  Site site;
  site.serves({service("web", R"("targetPort":8080,"nodePort":30126)"), named("web", "web:v1")});
  const auto planned = site.plan({service("shop", R"("targetPort":8080,"nodePort":30126)"), named("shop", "web:v2")});
  CHECK(names_of(planned.plan) == Names{"apply", "rollout", "follow", "prune"});
  CHECK(args_of(planned.plan, "apply").at("changed").empty());
  CHECK(args_of(planned.plan, "rollout").at("watched") == nlohmann::json{"apps/Deployment/shop/shop"});
  const auto follow = args_of(planned.plan, "follow");
  CHECK(follow.at("changed") == nlohmann::json{"/Service/shop/web"});
  CHECK(follow.at("leads") == nlohmann::json{"/Service/shop/web"});
  CHECK(follow.at("moves") == true);
  CHECK(planned.plan.steps[2].kind == "apply");
  CHECK(planned.plan.steps[2].phase == plan::Phase::proven);
  CHECK(planned.plan.steps[1].phase == plan::Phase::moved);
  CHECK(planned.plan.steps[2].undo == "re-apply release 1");
  CHECK(planned.plan.downtime.empty());
}

TEST_CASE("kubernetes plan: another port of the same pods is downtime, and follows them too") {
  Site site;
  site.serves({service("web"), named("web", "web:v1")});
  const auto planned = site.plan({service("web", R"("targetPort":8081)"), named("web", "web:v2")});
  CHECK(names_of(planned.plan) == Names{"apply", "rollout", "follow", "settle"});
  REQUIRE(planned.plan.downtime.size() == 1);
  CHECK(planned.plan.downtime[0].find("service/web: its port 80/TCP leads to 8081") == 0);
}

TEST_CASE("kubernetes plan: a Service that somebody led elsewhere is put right at once") {
  Site site;
  site.serves({service("web"), named("web", "web:v1")});
  site.observed.live.insert_or_assign(service("web").ref(), service("nope", R"("targetPort":9)"));
  const auto planned = site.plan({service("web"), named("web", "web:v2")});
  CHECK(names_of(planned.plan) == Names{"apply", "rollout", "settle"});
  CHECK(planned.plan.downtime.empty());
}

TEST_CASE("kubernetes plan: a new Service comes first, an Ingress that is led to it after its pods") {
  Site site;
  site.serves({ingress("old"), named("web", "web:v1")});
  const auto planned = site.plan({ingress("web"), service("shop"), named("web", "web:v1"), named("shop", "web:v2")});
  CHECK(names_of(planned.plan) == Names{"apply", "rollout", "follow"});
  CHECK(args_of(planned.plan, "apply").at("added").size() == 2);
  CHECK(args_of(planned.plan, "follow").at("changed") == nlohmann::json{"networking.k8s.io/Ingress/shop/i"});
  CHECK(args_of(planned.plan, "follow").at("leads").empty());
}

TEST_CASE("kubernetes plan: what the server gave a Service is known to the way back and to a rollback") {
  Site site;
  site.serves({service("web", R"("targetPort":8080,"nodePort":30126)"), named("web", "web:v1")});
  auto plain = service("web");
  plain.edit()["spec"]["type"] = "ClusterIP";
  const auto planned = site.plan({plain, named("web", "web:v2")});
  CHECK(args_of(planned.plan, "apply").at("assigned").contains("/Service/shop/web"));
  // Removed.
  CHECK(args_of(site.plan({named("web", "web:v1")}).plan, "prune").at("assigned").contains("/Service/shop/web"));
  // The run that took it from release 1 says what that had.
  Site later;
  later.serves({plain, named("web", "web:v1")});
  plan::Record record;
  auto told = planned.plan;
  told.from = 1;
  plan::Entry entry;
  entry.event = "planned";
  entry.plan = plan::to_json(told);
  record.entries.push_back(entry);
  later.observed.snapshot.journals.push_back(record);
  later.options.verb = "rollback";
  later.next.number = 1;
  const auto back = args_of(later.plan({service("web"), named("web", "web:v1")}).plan, "apply").at("addresses");
  CHECK(back.at("/Service/shop/web").get<std::string>().find("30126") != std::string::npos);
}

TEST_CASE("kubernetes plan: a Job that tidied itself up does not run again") {
  Site site;
  site.serves({warm(R"("ttlSecondsAfterFinished":60,)"), deployment("web:v1")});
  site.observed.live.erase(warm("").ref());
  site.next.version = "v1";
  CHECK(site.plan({warm(R"("ttlSecondsAfterFinished":60,)"), deployment("web:v1")}).plan.empty());
  // Another one does, and so does one that somebody removed.
  CHECK(args_of(site.plan({warm(R"("ttlSecondsAfterFinished":60,"completions":2,)"), deployment("web:v1")}).plan, "apply").at("added").size() == 1);
  Site removed;
  removed.serves({warm(""), deployment("web:v1")});
  removed.observed.live.erase(warm("").ref());
  removed.next.version = "v1";
  CHECK(args_of(removed.plan({warm(""), deployment("web:v1")}).plan, "apply").at("added").size() == 1);
}

TEST_CASE("kubernetes plan: replicas that no manifest says are never written back") {
  auto open = deployment("web:v1");
  open.edit()["spec"].erase("replicas");
  auto live = open;
  live.edit()["spec"]["replicas"] = 5;
  const auto counts_for = [&](kube::Object next) {
    Site site;
    site.serves({open});
    for (auto& [ref, object] : site.observed.live) object.edit()["spec"]["replicas"] = 5;
    return args_of(site.plan({std::move(next)}).plan, "apply").at("counts");
  };
  auto next = open;
  next.edit()["spec"]["template"]["spec"]["containers"][0]["image"] = "web:v2";
  CHECK(counts_for(next).empty());
  next.edit()["spec"]["replicas"] = 3;
  CHECK(counts_for(next).size() == 1);
}

TEST_CASE("kubernetes plan: what another hand changed is kept as it was, to go back to it") {
  Site site;
  site.serves({deployment("web:v1")});
  CHECK(site.plan({deployment("web:v2")}).before.empty());
  for (auto& [ref, object] : site.observed.live) {
    object.edit()["spec"]["template"]["spec"]["containers"][0]["tty"] = true;
    object.edit()["metadata"]["managedFields"] = {{{"manager", "kubectl-patch"}, {"operation", "Update"},
                                                   {"fieldsV1", nlohmann::json::parse(R"({"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:tty":{}}}}}}})")}}};
  }
  CHECK(site.plan({deployment("web:v2")}).before.size() == 1);
}

TEST_CASE("kubernetes plan: a strategy that was set by hand is downtime as one of the manifest is") {
  Site site;
  site.serves({deployment("web:v1")});
  auto result = deployment("web:v2");
  result.edit()["spec"]["strategy"]["type"] = "Recreate";
  std::vector<kube::Object> objects{deployment("web:v2")};
  kube::join(objects, site.set);
  const auto planned = plan_release(site.next, objects, {{result, {}}}, site.observed, site.set, site.options);
  REQUIRE(planned.plan.downtime.size() == 1);
  CHECK(planned.plan.downtime[0].find("Recreate") != std::string::npos);
}
