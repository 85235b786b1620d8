#include "lib/ops/service_role.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <string_view>

namespace codops::ops {
namespace {

using compose::Project;
using compose::Service;
using release::Role;

constexpr std::array<std::string_view, 20> database_names{
    "postgres", "postgresql", "postgis", "timescaledb", "pgvector", "mysql",    "mariadb",  "mongo",    "mongodb", "redis",
    "valkey",   "keydb",      "mssql",   "clickhouse",  "rabbitmq", "kafka",    "nats",     "cassandra", "elasticsearch", "opensearch"};

// The last part of an image's name without tag: "ghcr.io/shop/postgres:17" → "postgres".
std::string short_image_name(const std::string& image) {
  auto name = image.substr(0, image.find('@'));
  if (const auto slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  return name.substr(0, name.find(':'));
}

bool is_one_shot(const Project& project, const std::string& name) {
  for (const auto& [other, service] : project.services) {
    const auto found = service.depends_on.find(name);
    if (found != service.depends_on.end() && found->second.condition == compose::Dependency::Condition::completed) return true;
  }
  const auto& deploy = project.services.at(name).deploy;
  return deploy && deploy->mode.ends_with("-job");
}

}  // namespace

bool is_known_database(const std::string& image) {
  const auto name = short_image_name(image);
  return std::find(database_names.begin(), database_names.end(), name) != database_names.end();
}

bool asks_to_stop_first(const Service& service) {
  return service.deploy && service.deploy->update_config && service.deploy->update_config->order == "stop-first" && service.ports.empty();
}

Role role_of(const Project& project, const Service& service, const settings::Environment& environment, const std::string& image) {
  if (service.name == environment.proxy.service) return Role::proxy;
  if (std::find(environment.stateful.begin(), environment.stateful.end(), service.name) != environment.stateful.end()) return Role::stateful;
  // Also with a database's image: psql fills the database.
  if (is_one_shot(project, service.name)) return Role::one_shot;
  if (is_known_database(image)) return Role::stateful;
  const bool publishes = std::any_of(service.ports.begin(), service.ports.end(), [](const auto& port) { return !port.published.empty(); });
  const bool shares = service.network_mode == "host" || service.network_mode.starts_with("service:") ||
                      service.network_mode.starts_with("container:");
  if (publishes || shares || !service.container_name.empty()) return Role::exclusive;
  if (asks_to_stop_first(service) && service.expose.empty()) return Role::exclusive;
  return Role::stateless;
}

std::vector<std::string> in_order(const Project& project, const std::string& proxy) {
  std::vector<std::string> order;
  std::set<std::string> done;
  std::function<void(const std::string&)> visit = [&](const std::string& name) {
    const auto service = project.services.find(name);
    if (service == project.services.end() || !done.insert(name).second) return;
    for (const auto& [needed, dependency] : service->second.depends_on) visit(needed);
    order.push_back(name);
  };
  for (const auto& [name, service] : project.services) {
    if (name != proxy) visit(name);
  }
  visit(proxy);
  if (const auto at = std::find(order.begin(), order.end(), proxy); at != order.end()) {
    std::rotate(at, at + 1, order.end());
  }
  return order;
}

}  // namespace codops::ops
