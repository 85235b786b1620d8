#include "lib/settings/read_environment.hpp"

#include <cstdlib>

namespace codops::settings {
namespace {

namespace fs = std::filesystem;

std::string absolute(const fs::path& directory, const std::string& path) {
  // A URL in its place stays one: who refuses it can tell it by that, and its password.
  if (path.find("://") != std::string::npos) return path;
  if (path.empty()) return {};
  return (directory / path).lexically_normal().string();
}

std::vector<std::string> absolute(const fs::path& directory, std::vector<std::string> paths) {
  for (auto& path : paths) path = absolute(directory, path);
  return paths;
}

std::optional<int> to_int(std::optional<std::int64_t> value) {
  return value ? std::optional{static_cast<int>(*value)} : std::nullopt;
}

Engine engine_of(const std::string& word) {
  if (word == "swarm") return Engine::swarm;
  if (word == "kubernetes") return Engine::kubernetes;
  return Engine::docker;
}

Proxy read_proxy(const Values& values) {
  Proxy proxy{values.text("proxy.service"), values.text("proxy.upstreams"), {}};
  for (const auto& service : values.names("proxy.services")) {
    const auto here = "proxy.services." + escape_name(service);
    proxy.services[service] = {to_int(values.optional_integer(here + ".port")), values.boolean(here + ".sticky")};
  }
  return proxy;
}

std::map<std::string, Readiness> read_readiness(const Values& values) {
  std::map<std::string, Readiness> readiness;
  for (const auto& service : values.names("readiness")) {
    const auto here = "readiness." + escape_name(service);
    readiness[service] = {values.text(here + ".path"), to_int(values.optional_integer(here + ".port")),
                          static_cast<int>(values.integer(here + ".status"))};
  }
  return readiness;
}

Timeouts read_timeouts(const Values& values) {
  return {values.duration("timeouts.ready"), values.duration("timeouts.drain"), values.duration("timeouts.pull"),
          values.duration("timeouts.engine"), values.optional_duration("timeouts.stop")};
}

std::vector<Hook> read_hooks(const Values& values, const std::string& list) {
  std::vector<Hook> hooks;
  for (const auto& item : values.items(list)) {
    hooks.push_back({values.list(item + ".run"), values.text(item + ".service"), values.duration(item + ".timeout")});
  }
  return hooks;
}

std::vector<Notification> read_notifications(const Values& values) {
  std::vector<Notification> all;
  for (const auto& item : values.items("notify")) {
    all.push_back({values.text(item + ".type"), values.text(item + ".url_variable"), Secret{values.text(item + ".url")},
                   values.list(item + ".to"), values.text(item + ".from"), values.text(item + ".smtp"),
                   values.list(item + ".on")});
  }
  return all;
}

}  // namespace

Environment read_environment(std::string name, const fs::path& directory, const Values& values) {
  Environment environment;
  environment.name = std::move(name);
  environment.directory = directory;
  environment.engine = engine_of(values.text("engine"));
  environment.host = values.text("host");
  environment.compose_files = absolute(directory, values.list("compose_files"));
  environment.env_files = absolute(directory, values.list("env_files"));
  environment.profiles = values.list("profiles");
  environment.project = values.text("project");
  environment.version_variable = values.text("version_variable");
  environment.images = values.map("images");
  environment.protected_ = values.boolean("protected");
  environment.proxy = read_proxy(values);
  environment.front_door = {values.text("front_door.url"), absolute(directory, values.text("front_door.ca")),
                            values.text("front_door.path"), to_int(values.optional_integer("front_door.status"))};
  environment.readiness = read_readiness(values);
  environment.timeouts = read_timeouts(values);
  environment.monitor = values.duration("monitor");
  environment.keep_releases = static_cast<int>(values.integer("keep_releases"));
  environment.old_set = values.text("old_set") == "running" ? OldSet::running : OldSet::stopped;
  environment.stateful = values.list("stateful");
  environment.env_from_shell = values.list("env_from_shell");
  environment.hooks = {read_hooks(values, "hooks.pre_deploy"), read_hooks(values, "hooks.post_deploy"),
                       read_hooks(values, "hooks.on_failure")};
  environment.notify = read_notifications(values);
  environment.database = {values.text("database.service"), values.text("database.url_variable"),
                          values.text("database.name"), values.text("database.owner"),
                          values.list("database.extensions")};
  environment.redis = {values.text("redis.service"), values.text("redis.url_variable")};
  environment.kubernetes = {absolute(directory, values.text("kubernetes.manifests")),
                            values.text("kubernetes.kubeconfig"), values.text("kubernetes.context"),
                            values.text("kubernetes.namespace")};
  environment.backup = read_backup(values.below("backup"));
  environment.health = read_health(values.below("health"));
  for (auto& check : environment.health.checks) {
    for (auto* path : {&check.ca, &check.certificate, &check.key}) *path = absolute(directory, *path);
    if (check.kind == "disk") check.target = absolute(directory, check.target);
    // A program without a '/' is looked for in PATH.
    if (!check.command.empty() && check.command.front().find('/') != std::string::npos) check.command.front() = absolute(directory, check.command.front());
  }
  environment.migrate = read_migrate(values.below("migrate"));
  environment.setup_dev = read_setup_dev(values.below("setup_dev"));
  return environment;
}

}  // namespace codops::settings
