#include "lib/ops/down_steps.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace codops;
using namespace codops::ops;

namespace {

struct Site {
  Observed observed;
  release::Release release;
  DownPlan what;

  Site() {
    release.number = 3;
    release.version = "v3";
    add("db", release::Role::stateful);
    add("web", release::Role::stateless);
    add("front", release::Role::proxy);
    what.networks = {"site_default", "site_codops"};
  }
  void add(const std::string& name, release::Role role) {
    release::ServiceRecord service;
    service.name = name;
    service.role = role;
    service.restart = "unless-stopped";
    service.stop_grace_seconds = 7;
    service.members.push_back({name + "-1", role == release::Role::stateful ? "" : "172.20.0.9", 1});
    release.services.push_back(service);
    container(name + "-1", target::RunState::running);
  }
  void container(const std::string& name, target::RunState state) {
    ObservedContainer container;
    container.name = name;
    container.state = state;
    container.restart_policy = "always";
    observed.containers.push_back(container);
    what.containers.push_back(name);
  }
  plan::Plan plan() const { return steps_of_down(what, observed, release, "production", "t"); }
  static std::vector<std::string> names(const plan::Plan& plan) {
    std::vector<std::string> names;
    for (const auto& step : plan.steps) names.push_back(step.name);
    return names;
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("down: the front stops first, what keeps data last, then all is removed") {
  Site site;
  site.container("web-old", target::RunState::exited);
  site.container("by-hand", target::RunState::running);
  const auto plan = site.plan();
  CHECK(Site::names(plan) == Names{"stop-front", "stop", "stop-data", "remove", "networks"});
  CHECK(point_of_no_return(plan) == 3);
  const auto members = [&](std::size_t step) { return nlohmann::json::parse(plan.steps[step].args).at("members"); };
  REQUIRE(members(1).size() == 2);
  CHECK(members(1)[0].at("container") == "web-1");
  CHECK(members(1)[0].at("grace") == 7);
  CHECK(members(1)[0].at("restart") == "unless-stopped");
  CHECK(members(1)[1].at("container") == "by-hand");
  CHECK(members(1)[1].at("restart") == "always");
  CHECK(members(2)[0].at("container") == "db-1");
  const auto removed = nlohmann::json::parse(plan.steps[3].args);
  CHECK(removed.at("containers").size() == 5);
  CHECK(removed.at("with_data") == false);
  for (const auto& step : plan.steps) CHECK(step.undo.empty() != step.no_undo.empty());
}

TEST_CASE("down: only what is there is a step, volumes come last and only when they were asked for") {
  Site site;
  for (auto& container : site.observed.containers) container.state = target::RunState::exited;
  CHECK(Site::names(site.plan()) == Names{"remove", "networks"});
  site.what.volumes = {"site_data"};
  site.what.with_data = true;
  const auto plan = site.plan();
  CHECK(Site::names(plan) == Names{"remove", "networks", "volumes"});
  CHECK(point_of_no_return(plan) == 0);
  CHECK(nlohmann::json::parse(plan.steps[0].args).at("with_data") == true);
  CHECK(steps_of_down({}, site.observed, std::nullopt, "production", "t").steps.empty());
}

TEST_CASE("down: its plan can be read again by who recovers it") {
  const auto plan = Site{}.plan();
  const auto again = plan::from_json(to_json(plan));
  CHECK(again.verb == "down");
  CHECK(Site::names(again) == Site::names(plan));
  CHECK(release::release_from_json(nlohmann::json::parse(again.context).at("current").dump()).number == 3);
}
