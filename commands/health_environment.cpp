#include "commands/health_environment.hpp"

#include <charconv>
#include <set>

#include "lib/compose/load.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/health/from_settings.hpp"

namespace codops::commands {
namespace {

namespace docker = engine::docker;

docker::Endpoint endpoint_of(Services& services, const settings::Environment* environment) {
  if (environment != nullptr && !environment->host.empty()) return docker::parse_host(environment->host);
  return docker::resolve_endpoint([&services](std::string_view name) { return services.variable(name); });
}

target::Container to_target(const docker::ContainerSummary& summary) {
  target::Container out;
  out.id = summary.id;
  out.name = summary.name;
  out.image = summary.image;
  out.image_id = summary.image_id;
  out.state = static_cast<target::RunState>(summary.state);
  out.health = static_cast<target::HealthState>(summary.health);
  out.labels = summary.labels;
  if (const auto service = summary.labels.find("com.docker.compose.service"); service != summary.labels.end()) out.service = service->second;
  return out;
}

std::uint16_t number(std::string_view text) {
  std::uint16_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The variables that the project's containers see, and those that its compose files are filled with.
std::optional<std::string> variable_of(const compose::Project& project, const std::string& name) {
  if (const auto found = project.environment.find(name); found != project.environment.end() && !found->second.empty()) return found->second;
  for (const auto& [_, service] : project.services) {
    const auto found = service.environment.find(name);
    if (found != service.environment.end() && found->second && !found->second->empty()) return found->second;
  }
  return std::nullopt;
}

compose::Project load_project(Services& services, const settings::Environment& environment) {
  compose::LoadOptions options;
  options.project_dir = environment.directory.string();
  options.files = environment.compose_files;
  options.env_files = environment.env_files;
  options.profiles = environment.profiles;
  options.environment = services.settings_sources().variables;
  options.project_name = environment.project;
  options.env_file_wins = true;
  options.from_shell = environment.env_from_shell;
  // Nothing of a health check depends on which version it is, but files may insist on the variable.
  if (!environment.version_variable.empty()) options.extra.emplace(environment.version_variable, "latest");
  return compose::load(options);
}

// A database that only containers know by name is reached at a published port of it, else at its own address.
class Reach {
 public:
  Reach(const compose::Project& project, std::function<std::vector<docker::ContainerSummary>()> running)
      : project_{project}, running_{std::move(running)} {}

  void operator()(const std::string& host, std::uint16_t port, io::Via& via) const {
    const auto service = project_.services.find(host);
    if (service == project_.services.end()) return;
    for (const auto& published : service->second.ports) {
      if (published.target != port || number(published.published) == 0) continue;
      const bool any = published.host_ip.empty() || published.host_ip == "0.0.0.0" || published.host_ip == "::";
      via.host = any ? "127.0.0.1" : published.host_ip;
      via.port = number(published.published);
      return;
    }
    for (const auto& container : running_()) {
      const auto label = container.labels.find("com.docker.compose.service");
      if (label == container.labels.end() || label->second != host || container.addresses.empty()) continue;
      via.host = container.addresses.begin()->second;
      via.port = port;
      return;
    }
  }

 private:
  const compose::Project& project_;
  std::function<std::vector<docker::ContainerSummary>()> running_;
};

health::ConventionFacts facts_of(const compose::Project& project, const settings::Environment& environment, const health::Wiring& wiring) {
  health::ConventionFacts facts;
  for (const auto& [name, service] : project.services) {
    health::ConventionFacts::Service out;
    out.name = name;
    for (const auto& port : service.ports) {
      out.ports.push_back({port.host_ip, number(port.published), port.target, port.protocol.empty() ? "tcp" : port.protocol});
    }
    if (const auto found = environment.readiness.find(name); found != environment.readiness.end()) out.readiness_path = found->second.path;
    facts.services.push_back(std::move(out));
  }
  facts.front_door_url = environment.front_door.url;
  facts.front_door_ca = environment.front_door.ca;
  facts.containers = wiring.containers;
  const auto& database = environment.database.url_variable;
  const auto& redis = environment.redis.url_variable;
  facts.database_url = variable_of(project, database.empty() ? "DATABASE_URL" : database).value_or("");
  facts.redis_url = variable_of(project, redis.empty() ? "REDIS_URL" : redis).value_or("");
  if (!facts.database_url.empty()) {
    const auto target = io::postgres::parse_target(facts.database_url, database);
    wiring.reach(target.host, target.port.empty() ? std::uint16_t{5432} : number(target.port), facts.database_via);
  }
  if (!facts.redis_url.empty()) {
    const auto target = io::parse_redis_url(facts.redis_url);
    wiring.reach(target.tcp.host, target.tcp.port, facts.redis_via);
  }
  return facts;
}

}  // namespace

health::ListContainers containers_of_engine(Services& services, const settings::Environment* environment, std::string project) {
  const auto api = std::make_shared<docker::Api>(endpoint_of(services, environment));
  return [api, project = std::move(project)](const Limits& limits) {
    docker::Filters filters;
    if (!project.empty()) filters["label"] = {"com.docker.compose.project=" + project};
    std::vector<target::Container> out;
    for (const auto& summary : api->containers(filters, true, limits)) {
      const auto oneoff = summary.labels.find("com.docker.compose.oneoff");
      if (oneoff == summary.labels.end() || oneoff->second != "True") out.push_back(to_target(summary));
    }
    return out;
  };
}

health::Convention checks_of(Services& services, const settings::Environment& environment) {
  if (environment.engine == settings::Engine::kubernetes && environment.health.checks.empty()) {
    throw Failure{Exit::config, "checks by convention are not there for Kubernetes yet", "list them in codops.yaml: health.checks"};
  }
  health::Wiring wiring;
  compose::Project project;
  if (environment.engine != settings::Engine::kubernetes && !environment.compose_files.empty()) {
    project = load_project(services, environment);
    wiring.containers = containers_of_engine(services, &environment, project.name);
  }
  wiring.variable = [&](const std::string& name) {
    const auto value = variable_of(project, name);
    return value ? value : services.variable(name);
  };
  const auto api = std::make_shared<docker::Api>(endpoint_of(services, &environment));
  const auto limits = services.limits().within(Milliseconds{5000});
  const Reach reach{project, [&, api]() -> std::vector<docker::ContainerSummary> {
                      try {
                        return api->containers({{"label", {"com.docker.compose.project=" + project.name}}}, false, limits);
                      } catch (const Failure&) {
                        return {};  // the checks of the containers say so
                      }
                    }};
  wiring.reach = reach;
  health::Convention out;
  if (environment.health.checks.empty()) {
    if (!environment.health.convention) return out;
    out = conventional_checks(facts_of(project, environment, wiring));
    for (auto& check : out.checks) check.timeout = environment.health.timeout;
    return out;
  }
  for (const auto& described : environment.health.checks) out.checks.push_back(check_from(described, environment.health, wiring));
  return out;
}

}  // namespace codops::commands
