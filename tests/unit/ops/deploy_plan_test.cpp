#include "lib/ops/deploy_plan.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/ops/addresses.hpp"
#include "lib/ops/sole_writer.hpp"
#include "lib/ops/status.hpp"
#include "lib/ops/upstreams.hpp"

using namespace codops;
using namespace codops::ops;
using release::Role;
using release::ServiceRecord;

namespace {

ServiceRecord service(std::string name, Role role, int replicas, std::string hash) {
  ServiceRecord made;
  made.name = std::move(name);
  made.role = role;
  made.hash = std::move(hash);
  made.image_id = "sha256:" + made.name;
  made.configured_replicas = replicas;
  made.port = role == Role::stateless ? 3000 : 0;
  return made;
}

Desired shop(std::string version) {
  Desired desired;
  desired.project = "shop";
  desired.environment = "production";
  desired.version = version;
  desired.proxy = {"nginx", "/etc/nginx/upstreams", false};
  desired.services = {service("postgres", Role::stateful, 1, "pg"), service("backend", Role::stateless, 2, "backend " + version),
                      service("frontend", Role::stateless, 1, "frontend"), service("nginx", Role::proxy, 1, "nginx")};
  return desired;
}

// Makes what a plan says true, as if it had run well.
void apply(Observed& observed, const Planned& planned, const std::string& action = "deploy") {
  observed.traffic = {"shop_codops", "172.20.0.0/16", true};
  observed.snapshot.releases.insert_or_assign(planned.next.number, planned.next);
  release::HistoryEntry entry;
  entry.number = static_cast<int>(observed.snapshot.history.size()) + 1;
  entry.action = action;
  entry.release = planned.next.number;
  entry.from = planned.plan.from;
  entry.result = "ok";
  observed.snapshot.history.push_back(entry);
  for (const auto& wanted : planned.next.services) {
    for (const auto& member : wanted.members) {
      bool found = false;
      for (auto& container : observed.containers) {
        if (container.name != member.container) continue;
        container.state = target::RunState::running;
        found = true;
      }
      if (found) continue;
      ObservedContainer container;
      container.name = member.container;
      container.service = wanted.name;
      container.state = target::RunState::running;
      container.labels[label_token] = "t";
      container.addresses["shop_codops"] = member.address;
      observed.containers.push_back(container);
    }
  }
  for (const auto& step : planned.plan.steps) {
    if (step.kind != "stop") continue;
    const auto args = nlohmann::json::parse(step.args);
    for (const auto& member : args.at("members")) {
      for (auto& container : observed.containers) {
        if (container.name == member.at("container").get<std::string>() && !member.value("rest", false)) container.state = target::RunState::exited;
      }
    }
  }
}

Observed empty_host() {
  Observed observed;
  observed.traffic = {"shop_codops", "172.20.0.0/16", false};
  return observed;
}

std::vector<std::string> names(const plan::Plan& plan) {
  std::vector<std::string> list;
  for (const auto& step : plan.steps) list.push_back(step.name);
  return list;
}

std::vector<std::string> members_of(const release::Release& release, const std::string& name) {
  std::vector<std::string> list;
  for (const auto& member : release.service(name)->members) list.push_back(member.container);
  return list;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the first deploy: data, migrate, the rest, the proxy last") {
  PlanOptions options;
  options.migrate = "3 migrations";
  const auto planned = plan_deploy(shop("v1"), empty_host(), options);
  CHECK(names(planned.plan) == Names{"prepare", "data", "migrate", "start", "front", "prove", "monitor"});
  CHECK(members_of(planned.next, "backend") == Names{"shop-backend-r1-1", "shop-backend-r1-2"});
  CHECK(planned.plan.downtime.empty());
}

TEST_CASE("whoever comes is watched in the monitor window, whichever way it comes") {
  const auto watched = [](const Planned& planned) {
    std::vector<std::string> list;
    for (const auto& step : planned.plan.steps) {
      if (step.kind == "monitor") list = nlohmann::json::parse(step.args).at("members").get<std::vector<std::string>>();
    }
    return list;
  };
  CHECK(watched(plan_deploy(shop("v1"), empty_host(), {})) == Names{"shop-postgres-r1-1", "shop-backend-r1-1", "shop-backend-r1-2", "shop-frontend-r1-1", "shop-nginx-r1-1"});

  auto alone = shop("v1");
  alone.proxy = {};
  alone.services = {service("postgres", Role::stateful, 1, "pg"), service("web", Role::exclusive, 1, "web 1")};
  auto observed = empty_host();
  apply(observed, plan_deploy(alone, observed, {}));
  alone.services[1] = service("web", Role::exclusive, 1, "web 2");
  const auto swapped = plan_deploy(alone, observed, {});
  CHECK(names(swapped.plan) == Names{"swap", "monitor"});
  CHECK(watched(swapped) == Names{"shop-web-r2-1"});

  SUBCASE("beside a proxy, which leads nowhere else") {
    auto beside = shop("v1");
    beside.services.insert(beside.services.begin() + 1, service("mail", Role::exclusive, 1, "mail 1"));
    auto host = empty_host();
    apply(host, plan_deploy(beside, host, {}));
    beside.services[1] = service("mail", Role::exclusive, 1, "mail 2");
    CHECK(watched(plan_deploy(beside, host, {})) == Names{"shop-mail-r2-1"});
  }
}

TEST_CASE("a container that somebody changed is replaced, the others stay") {
  auto observed = empty_host();
  apply(observed, plan_deploy(shop("v1"), observed, {}));
  REQUIRE(plan_deploy(shop("v1"), observed, {}).plan.empty());
  const auto change = [&](const std::function<void(ObservedContainer&)>& act) {
    auto changed = observed;
    for (auto& container : changed.containers) {
      if (container.name == "shop-backend-r1-1") act(container);
    }
    return plan_deploy(shop("v1"), changed, {});
  };
  for (const auto& planned : {change([](auto& container) { container.restart_policy = "always"; }),
                              change([](auto& container) { container.addresses.clear(); }),
                              change([](auto& container) { container.addresses["shop_codops"] = "172.20.0.200"; })}) {
    CHECK(members_of(planned.next, "backend") == Names{"shop-backend-r1-2", "shop-backend-r2-1"});
    CHECK(planned.plan.untouched == Names{"postgres", "frontend", "nginx"});
    CHECK(names(planned.plan) == Names{"start", "switch", "prove", "monitor", "settle", "drain", "stop"});
  }
}

TEST_CASE("a new version: the changed service rolls, the others stay and belong to both releases") {
  auto observed = empty_host();
  apply(observed, plan_deploy(shop("v1"), observed, {}));
  const auto planned = plan_deploy(shop("v2"), observed, {});
  CHECK(names(planned.plan) == Names{"start", "switch", "prove", "monitor", "settle", "drain", "stop"});
  CHECK(planned.plan.untouched == Names{"postgres", "frontend", "nginx"});
  CHECK(members_of(planned.next, "frontend") == Names{"shop-frontend-r1-1"});
  CHECK(members_of(planned.next, "backend") == Names{"shop-backend-r2-1", "shop-backend-r2-2"});
  const auto during = nlohmann::json::parse(planned.plan.steps[1].args).at("to").get<std::string>();
  CHECK(during.find("backup;") != std::string::npos);
  CHECK(planned.next.upstreams.find("backup;") == std::string::npos);
  std::set<std::string> addresses;
  for (const auto& release : {planned.next, observed.snapshot.releases.at(1)}) {
    for (const auto& wanted : release.services) {
      for (const auto& member : wanted.members) {
        if (!member.address.empty()) addresses.insert(member.container + member.address);
      }
    }
  }
  CHECK(addresses.size() == 6);
  apply(observed, planned);

  SUBCASE("the same again is a no-op, unless forced") {
    CHECK(plan_deploy(shop("v2"), observed, {}).plan.empty());
    PlanOptions forced;
    forced.force = true;
    CHECK_FALSE(plan_deploy(shop("v2"), observed, forced).plan.empty());
  }
  SUBCASE("rollback starts the kept set and makes no release") {
    const auto& target = rollback_target(observed.snapshot, std::nullopt);
    CHECK(target.number == 1);
    const auto back = plan_rollback(target, shop("v1").proxy, observed, {});
    CHECK(names(back.plan) == Names{"start", "switch", "prove", "monitor", "settle", "drain", "stop"});
    CHECK(nlohmann::json::parse(back.plan.steps[0].args)["services"][0]["start"].size() == 2);
    CHECK(back.next.number == 1);
    apply(observed, back, "rollback");
    CHECK(plan_deploy(shop("v1"), observed, {}).plan.empty());
    CHECK_THROWS_AS(rollback_target(observed.snapshot, std::nullopt), Failure);
    CHECK(rollback_target(observed.snapshot, std::string{"v2"}).number == 2);
    CHECK(plan_deploy(shop("v3"), observed, {}).next.number == 3);
  }
  SUBCASE("a rollback to a set that was pruned makes it anew from the stored release") {
    std::erase_if(observed.containers, [](const auto& c) { return c.name.find("backend-r1") != std::string::npos; });
    const auto back = plan_rollback(rollback_target(observed.snapshot, std::nullopt), shop("v1").proxy, observed, {});
    CHECK(nlohmann::json::parse(back.plan.steps[0].args)["services"][0]["make"].size() == 2);
  }
  SUBCASE("a container removed by hand is made again") {
    std::erase_if(observed.containers, [](const auto& c) { return c.name == "shop-backend-r2-1"; });
    const auto healed = plan_deploy(shop("v2"), observed, {});
    CHECK(names(healed.plan).front() == "start");
    CHECK(members_of(healed.next, "backend") == Names{"shop-backend-r2-2", "shop-backend-r3-1"});
  }
  SUBCASE("scaled counts stay until the compose file's own value changes") {
    PlanOptions more;
    more.scale["backend"] = 4;
    const auto scaled = plan_deploy(shop("v2"), observed, more);
    CHECK(members_of(scaled.next, "backend").size() == 4);
    apply(observed, scaled, "scale");
    const auto next = plan_deploy(shop("v3"), observed, {});
    CHECK(members_of(next.next, "backend").size() == 4);
    auto edited = shop("v3");
    edited.services[1].configured_replicas = 3;
    CHECK(members_of(plan_deploy(edited, observed, {}).next, "backend").size() == 3);
    PlanOptions fewer;
    fewer.scale["backend"] = 1;
    const auto less = plan_deploy(shop("v2"), observed, fewer);
    CHECK(names(less.plan) == Names{"switch", "prove", "monitor", "settle", "drain", "stop"});
  }
  SUBCASE("a container that docker compose made beside ours is removed, and said so") {
    ObservedContainer intruder;
    intruder.name = "shop-backend-1";
    intruder.service = "backend";
    intruder.state = target::RunState::running;
    observed.containers.push_back(intruder);
    const auto planned_again = plan_deploy(shop("v2"), observed, {});
    CHECK(names(planned_again.plan) == Names{"stop"});
    CHECK(planned_again.plan.steps[0].text.find("shop-backend-1") != std::string::npos);
  }
}

TEST_CASE("old_set: running: the set before rests, is no change by itself, comes back without being made, and one rests at most") {
  auto host = empty_host();
  PlanOptions options;
  options.old_set_running = true;
  apply(host, plan_deploy(shop("v1"), host, options));
  apply(host, plan_deploy(shop("v2"), host, options));
  const auto running = [&](int release) {
    int count = 0;
    for (const auto& container : host.containers) {
      if (container.running() && container.name.find(fmt::format("backend-r{}-", release)) != std::string::npos) ++count;
    }
    return count;
  };
  CHECK(running(1) == 2);
  CHECK(plan_deploy(shop("v2"), host, options).plan.steps.empty());

  auto back = host;
  const auto planned = plan_rollback(back.snapshot.releases.at(1), shop("v1").proxy, back, options);
  const auto start = std::find_if(planned.plan.steps.begin(), planned.plan.steps.end(), [](const auto& step) { return step.name == "start"; });
  REQUIRE(start != planned.plan.steps.end());
  const auto args = nlohmann::json::parse(start->args);
  CHECK(args.at("services").at(0).at("make").empty());
  CHECK(args.at("services").at(0).at("start").size() == 2);

  const auto third = plan_deploy(shop("v3"), host, options);
  CHECK(third.plan.steps.back().text == "~ backend ×2 of release 2, left running for rollback; ~ backend ×2 that no longer serve, stopped");
  apply(host, third);
  CHECK(running(1) == 0);
  CHECK(running(2) == 2);
  options.old_set_running = false;
  CHECK_FALSE(plan_deploy(shop("v3"), host, options).plan.steps.empty());
}

TEST_CASE("data is recreated only when its own definition changed, and that is downtime") {
  auto observed = empty_host();
  apply(observed, plan_deploy(shop("v1"), observed, {}));
  auto changed = shop("v1");
  changed.services[0].hash = "pg 2";
  const auto planned = plan_deploy(changed, observed, {});
  CHECK(names(planned.plan).front() == "data");
  CHECK(planned.plan.downtime.size() == 1);
}

TEST_CASE("a project that docker compose started is taken over") {
  auto observed = empty_host();
  for (const auto* name : {"postgres", "backend", "nginx"}) {
    ObservedContainer container;
    container.name = std::string{"shop-"} + name + "-1";
    container.service = name;
    container.image_id = std::string{"sha256:"} + name;
    container.state = target::RunState::running;
    container.labels["com.docker.compose.container-number"] = "1";
    observed.containers.push_back(container);
  }
  const auto planned = plan_deploy(shop("v1"), observed, {});
  REQUIRE(planned.adopted);
  CHECK(planned.adopted->number == 1);
  CHECK(planned.next.number == 2);
  CHECK(members_of(planned.next, "postgres") == Names{"shop-postgres-1"});
  CHECK(members_of(planned.next, "backend").front() == "shop-backend-r2-1");
  CHECK(planned.intruders.empty());
  CHECK(planned.plan.downtime.size() == 1);  // the proxy lacks the upstream directory
}

namespace {

ObservedContainer by_compose(const std::string& service) {
  ObservedContainer container;
  container.name = "shop-" + service + "-1";
  container.service = service;
  container.image_id = "sha256:" + service;
  container.state = target::RunState::running;
  container.labels["com.docker.compose.container-number"] = "1";
  return container;
}

void remove(Observed& observed, const std::string& service) {
  std::erase_if(observed.containers, [&](const auto& container) { return container.service == service; });
}

}  // namespace

TEST_CASE("what docker compose started after a down, or in place of all that was deployed, is taken over like the first time") {
  auto observed = empty_host();
  apply(observed, plan_deploy(shop("v1"), observed, {}));
  const bool downed = [] {
    bool value = false;
    SUBCASE("after a down") { value = true; }
    SUBCASE("in its place") {}
    return value;
  }();
  observed.containers.clear();
  if (downed) {
    release::HistoryEntry entry;
    entry.number = 2;
    entry.action = "down";
    entry.result = "ok";
    observed.snapshot.history.push_back(entry);
  }
  CHECK(serving(observed, "shop").has_value() == !downed);
  for (const auto* name : {"postgres", "backend", "frontend", "nginx"}) observed.containers.push_back(by_compose(name));
  const auto planned = plan_deploy(shop("v1"), observed, {});
  REQUIRE(planned.adopted);
  CHECK(planned.adopted->number == 2);
  CHECK(planned.adopted->service("postgres")->role == Role::stateful);
  CHECK(planned.next.number == 3);
  CHECK(members_of(planned.next, "postgres") == Names{"shop-postgres-1"});
  CHECK(planned.intruders.empty());
  if (!downed) CHECK(rollback_target(observed.snapshot, std::nullopt, true).number == 1);
}

TEST_CASE("data that others run in place of ours is taken over, or stopped before its successor starts") {
  auto observed = empty_host();
  apply(observed, plan_deploy(shop("v1"), observed, {}));
  remove(observed, "postgres");
  observed.containers.push_back(by_compose("postgres"));
  SUBCASE("the same image and mounts: by being recorded") {
    const auto planned = plan_deploy(shop("v1"), observed, {});
    CHECK(members_of(planned.next, "postgres") == Names{"shop-postgres-1"});
    CHECK(names(planned.plan) == Names{"data"});
    CHECK(planned.plan.downtime.empty());
    auto after = observed;
    apply(after, planned);
    CHECK(plan_deploy(shop("v1"), after, {}).plan.empty());
  }
  SUBCASE("another image: stopped first, with consent") {
    observed.containers.back().image_id = "sha256:other";
    const auto planned = plan_deploy(shop("v1"), observed, {});
    CHECK(members_of(planned.next, "postgres") == Names{"shop-postgres-r2-1"});
    CHECK(planned.plan.downtime.size() == 1);
    const auto args = nlohmann::json::parse(planned.plan.steps.front().args);
    CHECK(args.at("services").at(0).at("replace") == nlohmann::json{"shop-postgres-1"});
    CHECK(planned.intruders.empty());
  }
  SUBCASE("another volume: stopped first, with consent") {
    auto desired = shop("v1");
    desired.specs.emplace("postgres", Secret{R"({"HostConfig":{"Mounts":[{"Type":"volume","Source":"shop_data","Target":"/data"}]}})"});
    CHECK(plan_deploy(desired, observed, {}).plan.downtime.size() == 1);
    observed.containers.back().mounts.push_back({"shop_data", "/data", true, true});
    CHECK(plan_deploy(desired, observed, {}).plan.downtime.empty());
  }
  SUBCASE("a service that no release knows yet") {
    auto desired = shop("v1");
    desired.services.insert(desired.services.begin(), service("redis", Role::stateful, 1, "redis"));
    observed.containers.push_back(by_compose("redis"));
    CHECK(members_of(plan_deploy(desired, observed, {}).next, "redis") == Names{"shop-redis-1"});
  }
  SUBCASE("a rollback leaves it alone") {
    apply(observed, plan_deploy(shop("v2"), observed, {}));
    const auto back = plan_rollback(rollback_target(observed.snapshot, std::nullopt), shop("v1").proxy, observed, {});
    CHECK(members_of(back.next, "postgres") == Names{"shop-postgres-1"});
  }
}

TEST_CASE("a rollback leaves data as it is, and nobody is told to roll back where that is all that differs") {
  auto observed = empty_host();
  apply(observed, plan_deploy(shop("v1"), observed, {}));
  auto desired = shop("v1");
  desired.services.front().hash = "pg, larger";
  const auto planned = plan_deploy(desired, observed, {});
  REQUIRE(planned.current);
  CHECK(differ_in_data_alone(*planned.current, planned.next) == Names{"postgres"});
  apply(observed, planned);
  const auto back = plan_rollback(rollback_target(observed.snapshot, std::nullopt), desired.proxy, observed, {});
  CHECK(back.plan.empty());
  CHECK(back.kept_data == Names{"postgres"});
  auto more = shop("v2");
  more.services.front().hash = "pg, larger still";
  const auto both = plan_deploy(more, observed, {});
  CHECK_FALSE(differ_in_data_alone(*both.current, both.next));
}

TEST_CASE("data that a rollback left running is the next deploy's own, whether or not its release is kept") {
  auto observed = empty_host();
  apply(observed, plan_deploy(shop("v1"), observed, {}));
  auto wider = shop("v2");
  wider.services.insert(wider.services.begin(), service("queue", Role::stateful, 1, "queue"));
  apply(observed, plan_deploy(wider, observed, {}));
  for (auto& container : observed.containers) {
    if (container.name != "shop-queue-r2-1") continue;
    container.image_id = "sha256:queue";
    container.labels.insert({{label_role, "stateful"}, {label_hash, "queue"}, {label_release, "2"}});
  }
  const auto kept = observed;
  apply(observed, plan_rollback(kept.snapshot.releases.at(1), wider.proxy, observed, {}), "rollback");
  const auto told = status_of(observed, "shop", "production", false);
  CHECK(told.drift.empty());
  REQUIRE(told.left_running.size() == 1);
  CHECK(told.left_running[0].starts_with("shop-queue-r2-1 holds data of queue"));
  for (const bool pruned : {false, true}) {
    if (pruned) observed.snapshot.releases.erase(2);
    const auto planned = plan_deploy(wider, observed, {});
    CHECK(members_of(planned.next, "queue") == Names{"shop-queue-r2-1"});
    CHECK(names(planned.plan) == Names{"start", "switch", "prove", "monitor", "settle", "drain", "stop"});
    CHECK(planned.plan.downtime.empty());
    CHECK(planned.plan.notes == Names{"queue is shop-queue-r2-1, which release 2 had left running"});
  }
  // Nothing else differs: it is recorded.
  auto same = shop("v1");
  same.services.insert(same.services.begin(), service("queue", Role::stateful, 1, "queue"));
  CHECK(names(plan_deploy(same, observed, {}).plan) == Names{"data"});
  // Another definition replaces it.
  wider.services.front().hash = "queue, otherwise";
  CHECK(plan_deploy(wider, observed, {}).plan.downtime.size() == 1);
}

TEST_CASE("a one-shot whose ended container was pruned has done its work, unless its data went too") {
  auto desired = shop("v1");
  desired.services.insert(desired.services.begin() + 1, service("job", Role::one_shot, 1, "job"));
  auto observed = empty_host();
  apply(observed, plan_deploy(desired, observed, {}));
  const auto remove = [&](const std::string& name) { std::erase_if(observed.containers, [&](const auto& container) { return container.name == name; }); };
  remove("shop-job-r1-1");
  CHECK(plan_deploy(desired, observed, {}).plan.empty());
  CHECK(status_of(observed, "shop", "production", false).healthy());
  CHECK(status_of(observed, "shop", "production", false).drift.empty());
  remove("shop-postgres-r1-1");
  CHECK(names(plan_deploy(desired, observed, {}).plan) == Names{"data", "task", "monitor"});
  CHECK_FALSE(status_of(observed, "shop", "production", false).healthy());
}

TEST_CASE("what a definition mounts by a name or from a path") {
  const auto mounts = mounts_of(nlohmann::json::parse(R"({"HostConfig": {"Mounts": [
    {"Type": "volume", "Source": "data", "Target": "/data"}, {"Type": "volume", "Target": "/unnamed"},
    {"Type": "tmpfs", "Target": "/tmp"}, {"Type": "bind", "Source": "/etc/a", "Target": "/a", "ReadOnly": true}],
    "Binds": ["/srv/b:/b:rw,z", "/srv/c:/c:ro"]}})"));
  std::vector<std::string> texts;
  for (const auto& mount : mounts) texts.push_back(mount.source + " " + mount.destination + (mount.volume ? " volume" : "") + (mount.writable ? " rw" : ""));
  CHECK(texts == Names{"data /data volume rw", "/etc/a /a", "/srv/b /b rw", "/srv/c /c"});
  CHECK(mounts_of(nlohmann::json::object()).empty());
}

TEST_CASE("addresses come from the subnet, never twice, and run out with an error") {
  AddressPool pool{"10.9.0.0/28", {"10.9.0.10"}};
  CHECK(pool.next() == "10.9.0.11");
  CHECK(pool.next() == "10.9.0.12");
  CHECK(pool.next() == "10.9.0.13");
  CHECK(pool.next() == "10.9.0.14");
  CHECK_THROWS_AS(pool.next(), Failure);
  CHECK_THROWS_AS((AddressPool{"rubbish", {}}), Failure);
  CHECK(pool.holds("10.9.0.15"));
  CHECK(!pool.holds("10.9.0.16"));
  CHECK(!pool.holds("10.8.255.255"));
  CHECK(!pool.holds("rubbish"));
  CHECK(AddressPool{"", {}}.holds("10.8.0.1"));
}

TEST_CASE("an upstream file names addresses; a sticky one has no backup") {
  UpstreamFile file{7, "v7", true, {{"backend", 3000, {"172.20.0.10"}, {"172.20.0.5"}, false}}};
  CHECK(render(file) == "# Written by codops for release 7 (v7); changes here are lost at the next switch.\n"
                        "proxy_connect_timeout 500ms;\n"
                        "upstream backend {\n"
                        "    server 172.20.0.10:3000 max_fails=1 fail_timeout=1s;\n"
                        "    server 172.20.0.5:3000 backup;\n"
                        "}\n");
  file.upstreams[0].sticky = true;
  CHECK(render(file).find("backup") == std::string::npos);
  CHECK(sets_directive("http {\n  proxy_connect_timeout 2s;\n}", "proxy_connect_timeout"));
  CHECK_FALSE(sets_directive("# proxy_connect_timeout 2s;", "proxy_connect_timeout"));
}
