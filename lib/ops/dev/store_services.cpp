// Which services of the compose file are PostgreSQL and Redis, and what they publish.
#include <algorithm>
#include <charconv>

#include "lib/ops/dev/workspace.hpp"

namespace codops::ops::dev {

using namespace scaffold::dev;

std::uint16_t port_number(std::string_view text) {
  std::uint16_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

const compose::Service* service_of(const Workspace& workspace, Store store) {
  if (!workspace.compose) return nullptr;
  // Others may use the same image: a job that fills it, a replica. The store itself is the one that is published, or is called so.
  const compose::Service* best = nullptr;
  int best_score = -1;
  for (const auto& [name, service] : workspace.compose->services) {
    if (store_of_service(service) != store || service.replicas() == 0) continue;
    const bool is_published = std::any_of(service.ports.begin(), service.ports.end(), [&](const compose::Port& port) { return port.target == default_port(store); });
    const bool is_named = store_of_name(name) == store;
    const int score = (store_of_image(service.image) == store ? 4 : 0) + (is_published ? 2 : 0) + (is_named ? 1 : 0);
    if (score <= best_score) continue;
    best = &service;
    best_score = score;
  }
  return best;
}

std::string variable_of_service(const compose::Service& service, const std::string& name) {
  const auto found = service.environment.find(name);
  return found != service.environment.end() && found->second ? *found->second : std::string{};
}

std::uint16_t published_port(const compose::Service& service, std::uint16_t target) {
  for (const auto& port : service.ports) {
    if (port.target == target) return port_number(port.published);
  }
  return 0;
}

bool is_container_name(const Workspace& workspace, Store store, const std::string& host) {
  if (workspace.compose && workspace.compose->services.count(host) != 0) return true;
  return host == (store == Store::postgres ? "postgres" : "redis") || host == "db" || host == "cache";
}

std::string step_of_service(const std::string& service) {
  for (const auto* own : {"tools", "env", "ports", "compose", "networks", "database", "migrate", "seed", "install", "generate", "build"}) {
    if (service == own) return "service:" + service;
  }
  return service;
}

}  // namespace codops::ops::dev
