#include "lib/ops/render.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/base/spellings.hpp"
#include "lib/compose/load.hpp"
#include "lib/engine/docker/answers.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/io/crypto.hpp"
#include "lib/ops/definitions.hpp"
#include "lib/ops/release_secrets.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/ops/travelling_files.hpp"
#include "lib/ops/upstreams.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using compose::Project;
using compose::Service;
using release::Role;
using release::ServiceRecord;

constexpr std::array<std::string_view, 20> database_names{
    "postgres", "postgresql", "postgis", "timescaledb", "pgvector", "mysql",    "mariadb",  "mongo",    "mongodb", "redis",
    "valkey",   "keydb",      "mssql",   "clickhouse",  "rabbitmq", "kafka",    "nats",     "cassandra", "elasticsearch", "opensearch"};

// The last part of an image's name without tag: "ghcr.io/shop/postgres:17" → "postgres".
std::string short_image_name(const std::string& image) {
  auto name = image.substr(0, image.find('@'));
  if (const auto slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  return name.substr(0, name.find(':'));
}

bool is_listed(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_one_shot(const Project& project, const std::string& name) {
  for (const auto& [other, service] : project.services) {
    const auto found = service.depends_on.find(name);
    if (found != service.depends_on.end() && found->second.condition == compose::Dependency::Condition::completed) return true;
  }
  const auto& deploy = project.services.at(name).deploy;
  return deploy && deploy->mode.ends_with("-job");
}

Role role_of(const Project& project, const Service& service, const settings::Environment& environment, const std::string& image) {
  if (service.name == environment.proxy.service) return Role::proxy;
  if (is_listed(environment.stateful, service.name)) return Role::stateful;
  // Also with a database's image: psql fills the database.
  if (is_one_shot(project, service.name)) return Role::one_shot;
  if (is_known_database(image)) return Role::stateful;
  const bool publishes = std::any_of(service.ports.begin(), service.ports.end(), [](const auto& port) { return !port.published.empty(); });
  const bool shares = service.network_mode == "host" || service.network_mode.starts_with("service:") ||
                      service.network_mode.starts_with("container:");
  if (publishes || shares || !service.container_name.empty()) return Role::exclusive;
  // A worker that asks to be stopped first: two of it at once may be wrong.
  if (service.deploy && service.deploy->update_config && service.deploy->update_config->order == "stop-first" &&
      service.ports.empty() && service.expose.empty()) {
    return Role::exclusive;
  }
  return Role::stateless;
}

const std::string& network_name(const Project& project, const std::string& key) {
  const auto network = project.networks.find(key);
  return network == project.networks.end() ? key : network->second.name;
}

// Where somebody asks for names who is not on the traffic network: other projects, on a network that is not this one's, and what keeps
// data and is no database (Keycloak, Prometheus).
bool is_asked_on(const Project& project, const std::string& key, const settings::Environment& environment) {
  const auto network = project.networks.find(key);
  if (network != project.networks.end() && network->second.external) return true;
  return std::any_of(project.services.begin(), project.services.end(), [&](const auto& entry) {
    const auto& [name, service] = entry;
    return service.networks.contains(key) && is_listed(environment.stateful, name) && !is_known_database(engine::docker::image_of(project, service));
  });
}

// `asked`: the networks' keys where a rolling service has its names from its start on.
std::string networks_of(const Project& project, const Service& service, Role role, const std::vector<std::string>& asked) {
  auto json = Json::object();
  if (!service.network_mode.empty()) return json.dump();
  for (const auto& [key, attachment] : service.networks) {
    auto& endpoint = json[network_name(project, key)] = Json::object();
    // An endpoint's names can't be changed while it is connected. On the traffic network a rolling service gets them when it is ready;
    // callers who are on both ask this one first.
    if (role != Role::stateless || is_listed(asked, key)) {
      auto aliases = attachment.aliases;
      aliases.push_back(service.name);
      endpoint["Aliases"] = aliases;
      if (role != Role::stateless && !attachment.ipv4_address.empty()) endpoint["IPAMConfig"]["IPv4Address"] = attachment.ipv4_address;
    }
  }
  return json.dump();
}

// Whether a line of an nginx configuration sends requests to that upstream.
bool passes_to(std::string_view config, std::string_view name) {
  const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.'; };
  for (std::size_t begin = 0; begin < config.size();) {
    const auto end = std::min(config.find('\n', begin), config.size());
    const auto line = config.substr(begin, end - begin);
    begin = end + 1;
    const auto word = line.find_first_not_of(" \t{");
    if (word == std::string_view::npos || line[word] == '#' || (line.find("_pass") == std::string_view::npos && line.find("set ") == std::string_view::npos)) continue;
    for (auto at = line.find(name); at != std::string_view::npos; at = line.find(name, at + 1)) {
      const bool starts = at > 0 && !is_part(line[at - 1]);
      const bool ends = at + name.size() == line.size() || !is_part(line[at + name.size()]);
      if (starts && ends) return true;
    }
  }
  return false;
}

int port_of(const Service& service, const settings::Environment& environment, const ImageFacts& image) {
  if (const auto set = environment.proxy.services.find(service.name); set != environment.proxy.services.end() && set->second.port) {
    return *set->second.port;
  }
  std::set<int> ports;
  for (const auto& text : service.expose) ports.insert(std::atoi(text.c_str()));
  if (ports.empty()) ports.insert(image.exposed.begin(), image.exposed.end());
  if (ports.size() > 1) {
    throw Failure{Exit::config, fmt::format("service \"{}\" exposes {} ports, and the proxy needs to know which one is meant", service.name, ports.size()),
                  fmt::format("proxy.services.{}.port in codops.yaml", service.name)};
  }
  return ports.empty() ? 0 : *ports.begin();
}

std::string ready_of(const settings::Environment& environment, const std::string& name) {
  auto json = Json::object();
  if (const auto found = environment.readiness.find(name); found != environment.readiness.end()) {
    if (!found->second.path.empty()) json["path"] = found->second.path;
    if (found->second.port) json["port"] = *found->second.port;
    json["status"] = found->second.status;
  }
  return json.dump();
}

// Services so that each comes after those it depends on; the proxy last.
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

class Renderer {
 public:
  Renderer(const Project& project, const settings::Environment& environment, const std::map<std::string, ImageFacts>& images,
           const RenderOptions& options)
      : project_{project}, environment_{environment}, images_{images}, options_{options} {}

  Desired run() {
    desired_.project = project_.name;
    desired_.environment = environment_.name;
    desired_.version = options_.version;
    desired_.proxy.service = environment_.proxy.service;
    desired_.proxy.upstreams = environment_.proxy.upstreams;
    if (!desired_.proxy.service.empty() && project_.services.count(desired_.proxy.service) == 0) {
      throw Failure{Exit::config, fmt::format("proxy.service is \"{}\", and the compose file has no such service", desired_.proxy.service)};
    }
    require_names();
    for (const auto& name : in_order(project_, environment_.proxy.service)) add_service(project_.services.at(name));
    for (auto& record : desired_.services) {
      record.led = is_led(record);
      note_readiness(project_.services.at(record.name), record);
    }
    add_networks();
    add_volumes();
    desired_.definitions = definitions_of(desired_.networks, desired_.volumes);
    desired_.warnings.insert(desired_.warnings.end(), project_.warnings.begin(), project_.warnings.end());
    for (const auto& name : project_.used) {
      if (const auto found = project_.environment.find(name); found != project_.environment.end()) desired_.variables.insert(*found);
    }
    for (const auto& name : project_.overridden) {
      desired_.notes.push_back(fmt::format("{} is set in the shell too; the environment's file wins", name));
    }
    warn_of_direct_ports();
    return std::move(desired_);
  }

 private:
  void add_service(const Service& service) {
    ServiceRecord record;
    record.name = service.name;
    record.image = engine::docker::image_of(project_, service);
    const auto facts = images_.find(service.name);
    const ImageFacts image = facts == images_.end() ? ImageFacts{} : facts->second;
    record.image_id = image.id;
    record.digest = image.digest;
    record.role = role_of(project_, service, environment_, record.image);
    refuse_what_is_shared(service);
    const auto travelling = travelling_files(project_, service, environment_.directory, options_.remote, record.role == Role::proxy, desired_.blobs);
    record.files = travelling.files;
    desired_.notes.insert(desired_.notes.end(), travelling.notes.begin(), travelling.notes.end());
    auto body = engine::docker::create_body(project_, service, {travelling.replaced_mounts});
    if (record.role == Role::proxy) join_upstreams(body, record);
    const auto asked = asked_networks(service, record.role);
    record.networks = networks_of(project_, service, record.role, asked);
    for (const auto& key : asked) {
      desired_.notes.push_back(fmt::format("who asks for {} by its name on the network {} reaches its new containers while they boot, too", service.name, network_name(project_, key)));
    }
    if (record.role == Role::stateless) collect_aliases(service, record);
    for (const auto& [needed, dependency] : service.depends_on) record.depends_on.push_back(needed);
    record.ready = ready_of(environment_, service.name);
    if (!environment_.proxy.service.empty() && record.role == Role::stateless) {
      record.port = port_of(service, environment_, image);
      const auto upstream = environment_.proxy.services.find(service.name);
      record.sticky = upstream != environment_.proxy.services.end() && upstream->second.sticky;
    } else if (record.role == Role::stateless && image.exposed.size() == 1) {
      record.port = image.exposed.front();
    }
    record.configured_replicas = static_cast<int>(service.replicas());
    if (service.stop_grace_period) {
      record.stop_grace_seconds = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(*service.stop_grace_period).count());
    }
    if (environment_.timeouts.stop) {
      record.stop_grace_seconds = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(*environment_.timeouts.stop).count());
    }
    record.restart = engine::docker::restart_policy_of(service);
    record.limits = engine::docker::resource_limits(body.at("HostConfig"));
    record.hash = hash_of(record, body);
    add_folders(body, travelling.folders, project_.name);
    if (!service.container_name.empty()) {
      desired_.warnings.push_back(fmt::format("{} is not called \"{}\": codops names a container by its release; other services reach it as \"{}\"", record.name, service.container_name, record.name));
    }
    desired_.specs.emplace(service.name, Secret{body.dump()});
    desired_.services.push_back(std::move(record));
  }

  // A misspelt name in the settings would be a rule for nobody: of data, one that is run twice.
  // What is like no service at all may be one of another environment, or of a profile: told.
  void require_names() {
    const auto require = [&](const std::string& name, std::string_view where) {
      if (project_.services.contains(name)) return;
      std::vector<std::string> all;
      for (const auto& [known, service] : project_.services) all.push_back(known);
      const auto text = fmt::format("{} names \"{}\", and the compose file has no such service", where, name);
      const auto near = nearest(name, all);
      if (!near.empty()) throw Failure{Exit::config, text, fmt::format("did you mean \"{}\"?", near)};
      desired_.warnings.push_back(text);
    };
    for (const auto& name : environment_.stateful) require(name, "stateful");
    for (const auto& [name, readiness] : environment_.readiness) require(name, "readiness");
    for (const auto& [name, upstream] : environment_.proxy.services) require(name, "proxy.services");
  }

  // A container is replaced under its own name: whoever lives in its namespaces or volumes would be left behind.
  static void refuse_what_is_shared(const Service& service) {
    const std::vector<std::pair<const char*, const std::string*>> modes{{"network_mode", &service.network_mode}, {"pid", &service.pid}, {"ipc", &service.ipc}};
    for (const auto& [key, value] : modes) {
      if (!value->starts_with("service:")) continue;
      throw Failure{Exit::config, fmt::format("service \"{}\" has {}: {}: codops does not deploy containers that live in another one's", service.name, key, *value),
                    "run both in one container, or let them talk over a network"};
    }
    if (std::any_of(service.volumes.begin(), service.volumes.end(), [](const auto& mount) { return !mount.subpath.empty(); })) {
      throw Failure{Exit::config, fmt::format("service \"{}\" mounts a folder within a volume (subpath), which codops does not do: it would be the whole volume", service.name),
                    "give it a volume of its own"};
    }
    if (!service.volumes_from.empty()) {
      throw Failure{Exit::config, fmt::format("service \"{}\" has volumes_from: codops does not deploy it", service.name), "name the volume, and mount it in both services"};
    }
    for (const auto& mount : service.volumes) {
      if (mount.target.starts_with('/')) continue;
      throw Failure{Exit::config, fmt::format("service \"{}\" mounts to \"{}\", which is no absolute path", service.name, mount.target),
                    "NAME:/PATH with a volume's name of two letters or more: one letter and a colon is a Windows path to compose"};
    }
  }

  // The directory of the upstream file is a volume of codops': it outlives the container and a recreation.
  void join_upstreams(Json& body, const ServiceRecord& record) {
    const auto volume = project_.name + upstreams_volume_suffix;
    body["HostConfig"]["Mounts"].push_back({{"Type", "volume"}, {"Source", volume}, {"Target", environment_.proxy.upstreams}, {"ReadOnly", false}});
    desired_.volumes.push_back({volume, Json{{"Driver", "local"}, {"Labels", {{"com.docker.compose.project", project_.name}, {"com.docker.compose.volume", "codops-upstreams"}}}}.dump(), false});
    bool set_by_user = false;
    for (const auto& file : record.files) {
      set_by_user = set_by_user || sets_directive(desired_.blobs.at(file.sha256), "proxy_connect_timeout");
    }
    // With a configuration that is baked into the image nothing is known: a second directive would be an error of nginx.
    desired_.proxy.set_connect_timeout = !record.files.empty() && !set_by_user;
    bool shuts_down = false;
    for (const auto& file : record.files) shuts_down = shuts_down || sets_directive(desired_.blobs.at(file.sha256), "worker_shutdown_timeout");
    if (!record.files.empty() && !shuts_down) {
      desired_.warnings.push_back("the proxy's configuration has no worker_shutdown_timeout: long connections keep old workers alive after a switch; "
                                  "add \"worker_shutdown_timeout 30s;\" to its main context");
    }
    bool included = record.files.empty();
    for (const auto& file : record.files) included = included || desired_.blobs.at(file.sha256).find(environment_.proxy.upstreams) != std::string::npos;
    if (!included) {
      throw Failure{Exit::config, fmt::format("no file of the proxy \"{}\" includes \"{}\"", record.name, environment_.proxy.upstreams),
                    fmt::format("add \"include {}/*.conf;\" to its http {{}} block", environment_.proxy.upstreams)};
    }
  }

  std::vector<std::string> asked_networks(const Service& service, Role role) const {
    std::vector<std::string> asked;
    if (role != Role::stateless || !service.network_mode.empty()) return asked;
    for (const auto& [key, attachment] : service.networks) {
      if (is_asked_on(project_, key, environment_)) asked.push_back(key);
    }
    return asked;
  }

  static void collect_aliases(const Service& service, ServiceRecord& record) {
    std::set<std::string> aliases;
    for (const auto& [name, network] : service.networks) aliases.insert(network.aliases.begin(), network.aliases.end());
    record.aliases.assign(aliases.begin(), aliases.end());
  }

  // Everything that decides whether a container must be made anew. The proxy's files are not in it: they are reloaded.
  std::string hash_of(const ServiceRecord& record, const Json& body) const {
    Json all{{"body", body}, {"networks", Json::parse(record.networks)}, {"aliases", record.aliases}, {"ready", Json::parse(record.ready)}};
    if (record.role != Role::proxy) {
      for (const auto& file : record.files) all["files"].push_back({file.target, file.sha256, file.mode, file.uid, file.gid});
    }
    return io::sha256_hex(all.dump());
  }

  // A request is passed to it: "proxy_pass http://backend", "grpc_pass backend:50051", "set $to http://backend".
  bool is_led(const ServiceRecord& record) const {
    if (record.role != Role::stateless || record.port == 0) return false;
    const auto proxy = std::find_if(desired_.services.begin(), desired_.services.end(), [](const auto& other) { return other.role == Role::proxy; });
    if (proxy == desired_.services.end()) return false;
    return std::any_of(proxy->files.begin(), proxy->files.end(), [&](const auto& file) { return passes_to(desired_.blobs.at(file.sha256), record.name); });
  }

  void note_readiness(const Service& service, const ServiceRecord& record) {
    if (record.role != Role::stateless) return;
    const auto facts = images_.find(record.name);
    const ImageFacts image = facts == images_.end() ? ImageFacts{} : facts->second;
    const bool checked = image.has_healthcheck || (service.healthcheck && !service.healthcheck->disable);
    if (!checked && record.ready == "{}") {
      desired_.warnings.push_back(fmt::format("{} has no health check: it counts as ready once {}", record.name,
                                              record.led ? fmt::format("port {} accepts a connection", record.port) : "it runs"));
    }
    if (std::any_of(service.networks.begin(), service.networks.end(), [](const auto& network) { return !network.second.ipv4_address.empty(); })) {
      desired_.warnings.push_back(fmt::format("{} does not get the address that the compose file gives it: two of it run side by side while it rolls", record.name));
    }
    if (record.restart == "no") {
      desired_.warnings.push_back(fmt::format("{} has no restart policy: it stays down after a restart of the engine", record.name));
    }
    const bool shares_volume = std::any_of(service.volumes.begin(), service.volumes.end(),
                                           [](const auto& mount) { return mount.type == "volume" && !mount.read_only && !mount.source.empty(); });
    if (shares_volume) desired_.notes.push_back(fmt::format("{} writes a volume: both sets write it while it rolls", record.name));
  }

  void add_networks() {
    for (const auto& [key, network] : project_.networks) {
      Json body{{"Driver", network.driver.empty() ? "bridge" : network.driver}, {"Internal", network.internal}, {"Attachable", network.attachable}};
      if (network.enable_ipv6) body["EnableIPv6"] = *network.enable_ipv6;
      if (!network.pools.empty() && !network.pools.front().subnet.empty()) {
        body["Subnet"] = network.pools.front().subnet;
        if (!network.pools.front().gateway.empty()) body["Gateway"] = network.pools.front().gateway;
      }
      if (!network.driver_opts.empty()) body["Options"] = network.driver_opts;
      Json labels = network.labels;
      if (!labels.is_object()) labels = Json::object();
      labels["com.docker.compose.project"] = project_.name;
      labels["com.docker.compose.network"] = key;
      body["Labels"] = std::move(labels);
      desired_.networks.push_back({network.name, body.dump(), network.external});
    }
  }

  void add_volumes() {
    for (const auto& [key, volume] : project_.volumes) {
      Json labels = volume.labels;
      if (!labels.is_object()) labels = Json::object();
      labels["com.docker.compose.project"] = project_.name;
      labels["com.docker.compose.volume"] = key;
      Json body{{"Driver", volume.driver.empty() ? "local" : volume.driver}, {"Labels", std::move(labels)}};
      if (!volume.driver_opts.empty()) body["DriverOpts"] = volume.driver_opts;
      desired_.volumes.push_back({volume.name, body.dump(), volume.external});
    }
  }

  void warn_of_direct_ports() {
    for (const auto& service : desired_.services) {
      if (service.role != Role::exclusive) continue;
      const auto& declared = project_.services.at(service.name);
      const bool told_to_stop = declared.deploy && declared.deploy->update_config && declared.deploy->update_config->order == "stop-first" && declared.ports.empty() &&
                                declared.container_name.empty() && declared.network_mode.empty();
      if (told_to_stop) continue;  // as its own definition has it
      desired_.warnings.push_back(fmt::format(
          "{} publishes a port or has a fixed name: not zero-downtime. Put nginx before it: proxy: {{service: nginx, upstreams: /etc/nginx/upstreams}} "
          "in codops.yaml and \"include /etc/nginx/upstreams/*.conf;\" in its http {{}} block", service.name));
    }
  }

  const Project& project_;
  const settings::Environment& environment_;
  const std::map<std::string, ImageFacts>& images_;
  const RenderOptions& options_;
  Desired desired_;
};

compose::LoadOptions load_options(const settings::Environment& environment, const std::string& version,
                                  const std::map<std::string, std::string>& shell) {
  compose::LoadOptions options;
  options.project_dir = environment.directory.string();
  options.files = environment.compose_files;
  options.env_files = environment.env_files;
  options.profiles = environment.profiles;
  options.environment = shell;
  options.project_name = environment.project;
  options.env_file_wins = true;
  options.from_shell = environment.env_from_shell;
  if (!version.empty()) options.extra[environment.version_variable] = version;
  return options;
}

}  // namespace

bool is_known_database(const std::string& image) {
  const auto name = short_image_name(image);
  return std::find(database_names.begin(), database_names.end(), name) != database_names.end();
}

Project load_compose(const settings::Environment& environment, const std::string& version, const std::map<std::string, std::string>& shell) {
  auto project = [&] {
    try {
      return compose::load(load_options(environment, version, shell));
    } catch (const Failure& failure) {
      // A value that is none where it stands may be a secret in the wrong place.
      KnownSecrets secrets;
      add_secrets_of(environment, shell, secrets);
      for (const auto& [name, value] : shell) {
        if (is_secret_variable(name)) secrets.add_variable(name, value);
      }
      throw Failure{failure.code(), secrets.hide(failure.message()), failure.hint()};
    }
  }();
  for (const auto& [name, pattern] : environment.images) {
    const auto service = project.services.find(name);
    if (service == project.services.end()) {
      throw Failure{Exit::config, fmt::format("images.{} names a service that the compose file does not have", name)};
    }
    auto image = pattern;
    if (const auto at = image.find("{version}"); at != std::string::npos) image.replace(at, 9, version);
    service->second.image = std::move(image);
  }
  return project;
}

std::string project_name(const settings::Environment& environment, const std::map<std::string, std::string>& shell) {
  if (!environment.project.empty()) return environment.project;
  // The file's own `name:` counts, and its variables may be required: a version that never reaches anything stands in.
  return compose::load(load_options(environment, "v0", shell)).name;
}

Desired render(const Project& project, const settings::Environment& environment, const std::map<std::string, ImageFacts>& images,
               const RenderOptions& options) {
  return Renderer{project, environment, images, options}.run();
}

}  // namespace codops::ops
