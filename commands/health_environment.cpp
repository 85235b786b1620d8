#include "commands/health_environment.hpp"

#include <charconv>
#include <filesystem>

#include "commands/backup_place.hpp"
#include "commands/database.hpp"
#include "commands/health_cluster.hpp"
#include "lib/compose/load.hpp"
#include "lib/engine/docker/containers.hpp"
#include "lib/engine/docker/dialer.hpp"
#include "lib/engine/docker/ssh.hpp"
#include "lib/health/from_settings.hpp"
#include "lib/health/postgres_target.hpp"
#include "lib/ops/observed.hpp"

namespace codops::commands {
namespace {

namespace docker = engine::docker;

docker::Endpoint endpoint_of(Services& services, const settings::Environment* environment) {
  auto endpoint = environment != nullptr && !environment->host.empty()
                      ? docker::parse_host(environment->host)
                      : docker::resolve_endpoint([&services](std::string_view name) { return services.variable(name); });
  docker::open_ssh_transport(endpoint);
  return endpoint;
}

// Where ports are reached that the engine publishes on every address of its host.
std::string address_of(const docker::Endpoint& endpoint) {
  if (endpoint.kind == docker::Endpoint::Kind::ssh) return endpoint.ssh_host;
  if (endpoint.kind != docker::Endpoint::Kind::tcp) return "127.0.0.1";
  const auto& url = endpoint.server.url;
  const auto start = url.find("://") == std::string::npos ? 0 : url.find("://") + 3;
  const auto address = io::parse_host_port(url.substr(start, url.find('/', start) - start));
  return address ? address->host : "127.0.0.1";
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

// A database that only containers know by name is reached at a published port of it, else through its container.
class Reach {
 public:
  Reach(const compose::Project& project, docker::Api& api, std::string address, Limits limits, std::vector<std::shared_ptr<void>>& alive)
      : project_{project}, api_{api}, address_{std::move(address)}, limits_{std::move(limits)}, alive_{alive} {}

  void operator()(const std::string& host, std::uint16_t port, io::Via& via) const {
    const auto service = project_.services.find(host);
    if (service == project_.services.end()) return;
    for (const auto& published : service->second.ports) {
      if (published.target != port || number(published.published) == 0) continue;
      const bool any = published.host_ip.empty() || published.host_ip == "0.0.0.0" || published.host_ip == "::";
      via = {any ? address_ : published.host_ip, number(published.published), {}};
      return;
    }
    try {
      docker::ProjectContainers containers{api_, project_.name};
      for (const auto& container : containers.list(host, false, limits_)) {
        std::shared_ptr<target::Endpoint> endpoint{docker::ContainerDialer{api_}.dial(container.id, port, limits_)};
        via = {endpoint->host(), endpoint->port(), endpoint->unix_socket()};
        alive_.push_back(std::move(endpoint));
        return;
      }
    } catch (const Failure&) {
      // The check itself says that nothing answers, with its stage.
    }
  }

 private:
  const compose::Project& project_;
  docker::Api& api_;
  std::string address_;
  Limits limits_;
  std::vector<std::shared_ptr<void>>& alive_;
};

// The name that certificates of this site carry.
std::string host_of(const std::string& url) {
  const auto start = url.find("://");
  if (start == std::string::npos) return {};
  const auto end = std::min(url.find_first_of("/?#", start + 3), url.size());
  const auto address = io::parse_host_port(url.substr(start + 3, end - start - 3));
  return address ? address->host : std::string{};
}

// Others wait for its end: a migration, a seed.
bool runs_once(const compose::Project& project, const std::string& name) {
  return std::any_of(project.services.begin(), project.services.end(), [&](const auto& other) {
    const auto found = other.second.depends_on.find(name);
    return found != other.second.depends_on.end() && found->second.condition == compose::Dependency::Condition::completed;
  });
}

// What one check lacks (an engine's address, a store's credentials) is told when it is asked, and stops no other.
template <typename Ask>
Ask or_why(const std::function<Ask()>& make) {
  try {
    return make();
  } catch (const Failure& failure) {
    return [failure](const Limits&) -> std::invoke_result_t<Ask, const Limits&> { throw failure; };
  }
}

// How old the newest backup is that was verified and is sound. Asked for in a thread, so it has its own view of the store.
health::BackupAge backup_age_of(Services& services, const std::string& environment) {
  const auto place = std::make_shared<BackupPlace>(services, environment, std::nullopt);
  return [place, &clock = services.clock()](const Limits& limits) -> std::optional<Milliseconds> {
    const auto& store = place->environment().backup.store;
    std::error_code ignored;
    if (store.starts_with('/') && std::filesystem::status(store, ignored).type() == std::filesystem::file_type::not_found) {
      throw Failure{Exit::unknown, "the backups' folder \"" + store + "\" is not there", "mount it; the first one makes it: codops backup " + place->environment().name};
    }
    std::vector<backup::Broken> broken;
    std::optional<WallTime> newest;
    for (const auto& entry : place->catalogue().list(limits, &broken)) {
      if (entry.sound() && !entry.manifest.safety && (!newest || entry.manifest.finished > *newest)) newest = entry.manifest.finished;
    }
    if (!newest && !broken.empty()) throw Failure{Exit::unknown, broken.front().text(), "codops backup list " + place->environment().name};
    return newest ? std::optional{std::chrono::duration_cast<Milliseconds>(clock.now() - *newest)} : std::nullopt;
  };
}

constexpr auto no_kind = " is left out: nothing says which kind of database is there; DB_CONNECTION=pgsql does, or a check in codops.yaml: {postgres: \"postgresql://…\"}";

// DB_HOST and its like of a service, else of the files.
std::optional<ops::InPieces> in_pieces(Services& services, const settings::Environment& environment, const compose::Project& project, io::Store store, bool asked) {
  for (const auto& [_, service] : project.services) {
    if (auto pieces = ops::in_pieces(store, project, service, asked)) return pieces;
  }
  return pieces_in_files(services, environment, store, &project, asked);
}

void take_pieces(health::ConventionFacts& facts, Services& services, const settings::Environment& environment, const compose::Project& project) {
  if (auto pieces = in_pieces(services, environment, project, io::Store::postgres, false)) {
    facts.database_url = std::move(pieces->url);
    facts.database_name = std::move(pieces->variable);
  } else if (const auto left = in_pieces(services, environment, project, io::Store::postgres, true)) {
    services.reporter().warn(left->variable + no_kind);
  }
}

// What can't be read leads nowhere; its check says why.
void reach_both(health::ConventionFacts& facts, const health::Wiring& wiring) {
  if (!wiring.reach) return;
  try {
    const bool ours = !facts.database_url.empty() && !health::is_of_another_database(facts.database_url);
    if (const auto target = ours ? health::postgres_target(facts.database_url, facts.database_name) : std::nullopt) {
      wiring.reach(target->host, target->port.empty() ? std::uint16_t{5432} : number(target->port), facts.database_via);
    }
  } catch (const Failure&) {
  }
  try {
    if (facts.redis_url.empty()) return;
    const auto target = io::parse_redis_url(facts.redis_url);
    wiring.reach(target.tcp.host, target.tcp.port, facts.redis_via);
  } catch (const Failure&) {
  }
}

health::ConventionFacts facts_of(Services& services, const compose::Project& project, const settings::Environment& environment, const health::Wiring& wiring,
                                 const std::function<std::optional<std::string>(const std::string&)>& defined) {
  health::ConventionFacts facts;
  for (const auto& [name, service] : project.services) {
    health::ConventionFacts::Service out;
    out.name = name;
    for (const auto& port : service.ports) {
      out.ports.push_back({port.host_ip, number(port.published), port.target, port.protocol.empty() ? "tcp" : port.protocol});
    }
    if (const auto found = environment.readiness.find(name); found != environment.readiness.end()) out.readiness_path = found->second.path;
    out.one_shot = runs_once(project, name);
    facts.services.push_back(std::move(out));
  }
  facts.front_door_url = environment.front_door.url;
  facts.front_door_ca = environment.front_door.ca;
  facts.server_name = host_of(environment.front_door.url);
  facts.containers = wiring.containers;
  const auto& database = environment.database.url_variable;
  const auto& redis = environment.redis.url_variable;
  const auto variable = database.empty() ? "DATABASE_URL" : database;
  facts.database_url = defined(variable).value_or("");
  if (!facts.database_url.empty()) facts.database_name = variable;
  facts.redis_url = defined(redis.empty() ? "REDIS_URL" : redis).value_or("");
  try {
    if (facts.database_url.empty()) take_pieces(facts, services, environment, project);
  } catch (const Failure& failure) {
    facts.database_trouble = failure;
  }
  try {
    if (facts.redis_url.empty()) {
      if (auto pieces = in_pieces(services, environment, project, io::Store::redis, false)) facts.redis_url = std::move(pieces->url);
    }
  } catch (const Failure& failure) {
    facts.redis_trouble = failure;
  }
  reach_both(facts, wiring);
  return facts;
}

// Another environment's are not looked at as if they were ours.
std::vector<target::Container> own_containers(docker::Api& api, const std::string& project, const std::string& environment, const Limits& limits) {
  auto ours = docker::ProjectContainers{api, project}.list({}, true, limits);
  for (const auto& container : ours) {
    const auto owner = container.labels.find(ops::label_environment);
    if (owner == container.labels.end() || owner->second.empty() || owner->second == environment) continue;
    throw Failure{Exit::config, fmt::format("the project \"{}\" on this engine belongs to the environment \"{}\", not to \"{}\"", project, owner->second, environment),
                  fmt::format("give {} a name of its own: environments.{}.project in codops.yaml", environment, environment)};
  }
  return ours;
}

std::vector<target::Container> all_containers(docker::Api& api, const Limits& limits) {
  std::vector<target::Container> all;
  for (auto& summary : api.containers({}, true, limits)) {
    target::Container container;
    container.id = summary.id;
    container.name = summary.name;
    container.image = summary.image;
    container.state = summary.state;
    container.health = summary.health;
    container.completed = summary.status.starts_with("Exited (0)");
    if (const auto label = summary.labels.find(std::string{docker::compose_service_label}); label != summary.labels.end()) {
      container.service = label->second;
    }
    container.labels = std::move(summary.labels);
    all.push_back(std::move(container));
  }
  return all;
}

}  // namespace

health::ListContainers containers_of_engine(Services& services, const settings::Environment* environment, std::string project) {
  return or_why<health::ListContainers>([&]() -> health::ListContainers {
    return [api = std::make_shared<docker::Api>(endpoint_of(services, environment)), project = std::move(project),
            name = environment == nullptr ? std::string{} : environment->name](const Limits& limits) {
      return project.empty() ? all_containers(*api, limits) : own_containers(*api, project, name, limits);
    };
  });
}

health::Convention checks_of(Services& services, const settings::Environment& environment, const Limits& limits) {
  const auto& listed = environment.health.checks;
  const bool wants_age = std::any_of(listed.begin(), listed.end(), [](const auto& check) { return check.kind == "backup_age"; });
  health::BackupAge backup_age;
  if (wants_age) backup_age = or_why<health::BackupAge>([&] { return backup_age_of(services, environment.name); });
  if (environment.engine == settings::Engine::kubernetes) return checks_of_cluster(services, environment, std::move(backup_age), limits);
  health::Wiring wiring;
  wiring.backup_age = std::move(backup_age);
  compose::Project project;
  if (!environment.compose_files.empty()) {
    project = load_project(services, environment);
    wiring.containers = containers_of_engine(services, &environment, project.name);
  }
  // Without a compose file the environment's own files are all there is. What codops' shell has by chance is no convention.
  const auto defined = [&](const std::string& name) {
    auto value = variable_of(project, name);
    return value ? value : variable_in_files(services, environment, name);
  };
  wiring.variable = [&](const std::string& name) {
    auto value = defined(name);
    return value ? value : services.variable(name);
  };
  health::Convention out;
  std::string address{"127.0.0.1"};
  try {
    const auto endpoint = endpoint_of(services, &environment);
    address = address_of(endpoint);
    const auto api = std::make_shared<docker::Api>(endpoint);
    out.alive.push_back(api);
    wiring.reach = Reach{project, *api, address, limits.within(Milliseconds{5000}), out.alive};
  } catch (const Failure&) {
    // The containers say what is wrong with it.
  }
  wiring.no_workload = "workloads are of Kubernetes; this environment has another engine";
  if (environment.health.checks.empty()) {
    if (!environment.health.convention) return out;
    auto facts = facts_of(services, project, environment, wiring, defined);
    facts.engine_address = address;
    auto found = conventional_checks(facts);
    out.checks = std::move(found.checks);
    out.alternatives = std::move(found.alternatives);
    for (auto& check : out.checks) check.timeout = environment.health.timeout;
    return out;
  }
  for (const auto& described : environment.health.checks) out.checks.push_back(check_from(described, environment.health, wiring));
  return out;
}

}  // namespace codops::commands
