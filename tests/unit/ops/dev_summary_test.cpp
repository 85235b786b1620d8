#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/ops/dev/setup.hpp"

namespace {

using namespace codops;
using namespace codops::ops::dev;

Workspace workspace_with(const std::string& published) {
  Workspace workspace;
  workspace.project = "/shop";
  workspace.backend = Backend::docker;
  scaffold::dev::Package package;
  package.directory = package.name = "backend";
  package.manager = "npm";
  package.scripts["dev"] = "node .";
  package.dependencies = {"express"};
  workspace.packages.push_back(package);
  compose::Project project;
  project.working_dir = "/shop";
  compose::Service service;
  service.name = "api";
  service.build = compose::Build{};
  service.build->context = published == "4000" ? "/shop/backend" : "/shop/other";
  project.services["api"] = service;
  workspace.compose = project;
  PortPlan plan;
  plan.service = "api";
  plan.port = static_cast<std::uint16_t>(std::stoi(published));
  workspace.ports.push_back(plan);
  return workspace;
}

nlohmann::json summary_of(const Workspace& workspace) { return nlohmann::json::parse(summary_json(workspace, {}, {})); }

TEST_CASE("what runs as a container already is not to be started a second time") {
  // By its port, and by the folder that it is built from.
  for (const auto* published : {"3000", "4000"}) {
    const auto json = summary_of(workspace_with(published));
    CHECK(json["next"] == nlohmann::json{"codops dev logs -f api"});
    REQUIRE(json["places"].size() == 1);
    CHECK(json["places"][0]["url"] == "http://localhost:" + std::string{published});
  }
}

TEST_CASE("what no container runs is") {
  const auto json = summary_of(workspace_with("8080"));
  CHECK(json["next"] == nlohmann::json{"cd backend && npm run dev"});
  REQUIRE(json["places"].size() == 2);
  CHECK(json["places"][0]["note"] == "once it runs");
}

}  // namespace
