#include "lib/ops/service_role.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/ops/proxy_files.hpp"
#include "lib/ops/render_notes.hpp"
#include "lib/ops/service_networks.hpp"

using namespace codops;
using namespace codops::ops;
using release::Role;

namespace {

compose::Project shop() {
  compose::Project project;
  project.name = "shop";
  for (const char* name : {"db", "fill", "front", "keeper", "web", "worker"}) {
    auto& service = project.services[name];
    service.name = name;
    service.image = "example.com/" + std::string{name} + ":1";
    service.networks["default"] = {};
  }
  project.services["db"].image = "registry:5000/library/postgres:17@sha256:00";
  project.services["fill"].image = "postgres:17";
  project.services["web"].depends_on["fill"].condition = compose::Dependency::Condition::completed;
  project.services["fill"].depends_on["db"].condition = compose::Dependency::Condition::healthy;
  project.services["front"].depends_on["web"] = {};
  project.services["worker"].depends_on["front"] = {};
  project.networks["default"].name = "shop_default";
  return project;
}

settings::Environment environment() {
  settings::Environment made;
  made.proxy.service = "front";
  made.stateful = {"keeper"};
  return made;
}

}  // namespace

TEST_CASE("what a service is: the front, data, a job, one that can't run twice, one that rolls") {
  auto project = shop();
  const auto role = [&](const char* name) { return role_of(project, project.services.at(name), environment(), project.services.at(name).image); };
  CHECK(role("front") == Role::proxy);
  CHECK(role("keeper") == Role::stateful);
  CHECK(role("db") == Role::stateful);
  CHECK(role("fill") == Role::one_shot);
  CHECK(role("web") == Role::stateless);
  project.services["web"].container_name = "the-web";
  CHECK(role("web") == Role::exclusive);
  project.services["worker"].deploy.emplace();
  project.services["worker"].deploy->update_config.emplace();
  project.services["worker"].deploy->update_config->order = "stop-first";
  CHECK(role("worker") == Role::exclusive);
  project.services["worker"].expose = {"80"};
  CHECK(role("worker") == Role::stateless);
  CHECK(in_order(project, "front") == std::vector<std::string>{"db", "fill", "keeper", "web", "worker", "front"});
}

TEST_CASE("a rolling service has its names from the start only where somebody outside the traffic network asks") {
  auto project = shop();
  auto& web = project.services["web"];
  web.networks["default"].aliases = {"api"};
  web.networks["outer"].ipv4_address = "10.0.0.9";
  project.networks["outer"].name = "outer";
  const auto endpoints = [&] {
    const auto asked = asked_networks(project, web, Role::stateless, environment());
    return nlohmann::json::parse(network_endpoints(project, web, Role::stateless, asked));
  };
  project.services["keeper"].networks.clear();
  CHECK(endpoints() == nlohmann::json::parse(R"({"shop_default": {}, "outer": {}})"));
  project.networks["outer"].external = true;
  CHECK(endpoints() == nlohmann::json::parse(R"({"shop_default": {}, "outer": {"Aliases": ["web"]}})"));
  project.services["keeper"].networks["default"] = {};
  CHECK(endpoints().at("shop_default") == nlohmann::json::parse(R"({"Aliases": ["api", "web"]})"));
  CHECK(nlohmann::json::parse(network_endpoints(project, web, Role::exclusive, {})).at("outer") == nlohmann::json::parse(R"({"Aliases": ["web"], "IPAMConfig": {"IPv4Address": "10.0.0.9"}})"));
  CHECK(aliases_of(web) == std::vector<std::string>{"api"});
}

TEST_CASE("services that only the traffic network brings together are told") {
  auto project = shop();
  Desired desired;
  for (const char* name : {"db", "front", "web", "worker"}) {
    release::ServiceRecord record;
    record.name = name;
    record.role = role_of(project, project.services.at(name), environment(), project.services.at(name).image);
    record.networks = R"({"some": {}})";
    desired.services.push_back(record);
  }
  project.services["worker"].networks = {{"inner", {}}};
  project.services["db"].networks = {{"data", {}}};
  warn_of_lost_walls(project, desired);
  REQUIRE(desired.warnings.size() == 1);
  CHECK(desired.warnings.front().starts_with("web and worker share no network in the compose file"));
  project.services["web"].networks["inner"] = {};
  desired.warnings.clear();
  warn_of_lost_walls(project, desired);
  CHECK(desired.warnings.empty());
}

TEST_CASE("a line of nginx passes requests to a service, or only names it") {
  for (const char* line : {"proxy_pass http://web;", "  location / { proxy_pass http://web/; }", "grpc_pass web:50051;", "set $to http://web;"}) {
    CAPTURE(line);
    CHECK(passes_to(line, "web"));
  }
  for (const char* line : {"# proxy_pass http://web;", "proxy_pass http://web-old;", "proxy_pass http://the.web;", "server_name web;"}) {
    CAPTURE(line);
    CHECK_FALSE(passes_to(line, "web"));
  }
}

TEST_CASE("a port with the name of an upstream is refused before nginx does") {
  CHECK(port_passed_to("proxy_pass http://web:3000/;", "web") == "3000");
  CHECK(port_passed_to("a;\n  grpc_pass web:50051;", "web") == "50051");
  for (const char* line : {"proxy_pass http://web;", "# proxy_pass http://web:3000;", "proxy_pass http://web-old:3000;", "set $to http://web:3000;", "proxy_pass http://web:$port;"}) {
    CAPTURE(line);
    CHECK(port_passed_to(line, "web").empty());
  }
  release::ServiceRecord front, web;
  front.name = "front";
  front.role = Role::proxy;
  front.files = {{"/etc/nginx/conf.d/site.conf", "sum", 0644, 0, 0}};
  web.name = "web";
  web.port = 4000;
  const std::map<std::string, std::string> blobs{{"sum", "proxy_pass http://web:3000;"}};
  CHECK_THROWS_WITH_AS(refuse_ports({web, front}, blobs), doctest::Contains("/etc/nginx/conf.d/site.conf of the proxy \"front\" passes requests to web:3000"), Failure);
  web.port = 0;
  CHECK_NOTHROW(refuse_ports({web, front}, blobs));
}
