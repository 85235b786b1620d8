#include "lib/ops/dev/workspace.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/scaffold/dev/env_order.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;

// Where a store is named, and by whom it will be run.
void plan_store(Workspace& workspace, StorePlan& plan, const std::string& variable, const std::string& usual_name) {
  plan.name = usual_name;
  const auto* service = service_of(workspace, plan.store);
  const auto standard = default_port(plan.store);
  auto url = named_first(workspace.env, variable);
  const auto found = !url || url->file.find('/') != std::string::npos ? find_parts(workspace, plan.store) : std::nullopt;
  // The nearer word holds: the project's own pieces before the URL of a package.
  if (url && found && !found->parts.host.empty() && found->file.find('/') == std::string::npos) url.reset();
  if (url || found) {
    plan.variable = url ? variable : found->parts.first();
    plan.file = url ? url->file : found->file;
    plan.in_parts = !url;
    const auto text = url ? url->value : found->parts.url;
    const auto place = url_place(text);
    const auto scheme = place ? place->scheme : text.substr(0, text.find(':'));
    if (!url) plan.elsewhere = other_server(workspace, plan.store, *found);
    if (!plan.elsewhere.empty()) {
      // told below
    } else if (place ? store_of_scheme(scheme) != plan.store : scheme == "file" || scheme == "sqlite" || scheme == "jdbc") {
      plan.elsewhere = scheme;
    } else if (!place || place->host.empty()) {
      plan.port = standard;  // no URL at all: the step that reads it tells
    } else {
      plan.port = place->port.empty() ? standard : port_number(place->port);
      if (!is_loopback(place->host) && !is_container_name(workspace, plan.store, place->host)) plan.elsewhere = place->host;
    }
  }
  if (!plan.elsewhere.empty()) {
    workspace.notes.push_back(fmt::format("{} in {} names \"{}\": that is left alone", plan.variable, plan.file, plan.elsewhere));
    return;
  }
  plan.wanted = service != nullptr || !plan.variable.empty();
  if (workspace.backend == Backend::docker) {
    if (service == nullptr) {
      if (plan.wanted && !workspace.compose_failure) workspace.notes.push_back(fmt::format("{} in {} is set, and no service of the compose file is a {}", plan.variable, plan.file, usual_name));
      plan.wanted = false;
      return;
    }
    plan.service = service->name;
    plan.name = step_of_service(service->name);
    const auto entry = std::find_if(service->ports.begin(), service->ports.end(), [&](const compose::Port& port) { return port.target == standard; });
    if (entry == service->ports.end()) {
      workspace.notes.push_back(fmt::format("\"{}\" publishes no port {}: it is run, and what is in it is left to its own containers; ports: [\"127.0.0.1:{}:{}\"] would show it to this machine", service->name, standard, standard, standard));
      plan.wanted = false;
      return;
    }
    plan.port = published_port(*service, standard);
    if (entry->published.empty()) plan.given = std::make_shared<std::atomic<std::uint16_t>>(std::uint16_t{0});
  } else if (plan.port == 0) {
    plan.port = service != nullptr && published_port(*service, standard) != 0 ? published_port(*service, standard) : standard;
  }
}

}  // namespace

std::string_view name_of(Backend backend) { return backend == Backend::docker ? "docker" : "local"; }

void require_something(const Workspace& workspace) {
  const auto& setup = workspace.environment.setup_dev;
  if (!workspace.packages.empty() || !workspace.env.empty() || workspace.compose || workspace.compose_failure || workspace.postgres.wanted || workspace.redis.wanted ||
      !setup.generate.empty() || !setup.seed.empty()) {
    return;
  }
  throw Failure{Exit::config, fmt::format("there is nothing to set up in \"{}\": no package.json, no .env and no example of one, no compose file", workspace.project.string()),
                "cd to the project's folder"};
}

Workspace observe(const Inputs& inputs, const Agree& agree, const Limits& limits) {
  Workspace workspace;
  workspace.environment = inputs.environment;
  workspace.shell = inputs.shell;
  workspace.project = inputs.environment.directory;
  workspace.folder = dev_folder(workspace.project);
  workspace.packages = find_packages(workspace.project, inputs.environment.setup_dev.directories);
  workspace.pin = node_pin(workspace.project);
  auto sources = find_env_sources(workspace.project, workspace.packages, inputs.environment.setup_dev.directories.empty());
  add_command_folders(workspace.project, workspace.environment.setup_dev.seed, sources);
  add_command_folders(workspace.project, workspace.environment.setup_dev.generate, sources);
  workspace.env = plan_env(sources, [] { return io::to_hex(io::random_bytes(16)); });
  load_compose(workspace);
  choose_backend(workspace, inputs.backend.empty() ? inputs.environment.setup_dev.backend : inputs.backend, limits);
  if (workspace.backend == Backend::docker && take_compose_passwords(workspace)) load_compose(workspace);
  const auto& database = workspace.environment.database.url_variable;
  const auto& redis = workspace.environment.redis.url_variable;
  plan_store(workspace, workspace.postgres, database.empty() ? "DATABASE_URL" : database, "postgres");
  plan_store(workspace, workspace.redis, redis.empty() ? "REDIS_URL" : redis, "redis");
  plan_ports(workspace, agree, limits);
  if (!workspace.engine_failure) {
    for (const auto* store : {&workspace.postgres, &workspace.redis}) learn_port(workspace, *store, limits);
  }
  note_shell(workspace);
  const bool fitted = fit_logins(workspace);
  // The ports that were moved are variables of the compose file: what is started is what was announced.
  if (fitted || std::any_of(workspace.ports.begin(), workspace.ports.end(), [](const PortPlan& plan) { return plan.moved_to != 0; })) load_compose(workspace);

  plan_migrations(workspace);
  note_strangers(workspace);
  return workspace;
}

io::postgres::Target Workspace::database() const {
  io::postgres::Target target;
  if (!postgres.variable.empty()) {
    target = io::postgres::parse_target(url(postgres), postgres.variable);
  } else if (auto admin = compose_admin()) {
    target = *admin;
    const auto database_name = variable_of_service(*service_of(*this, Store::postgres), "POSTGRES_DB");
    target.database = database_name.empty() ? target.user : database_name;
  }
  if (target.user.empty() || target.database.empty()) {
    throw Failure{Exit::config, fmt::format("{} names no {}", postgres.variable.empty() ? "the compose file" : postgres.variable, target.user.empty() ? "user" : "database"),
                  postgres.in_parts ? "DB_USER, DB_PASSWORD and DB_NAME beside it, or one DATABASE_URL" : "postgresql://USER:PASSWORD@localhost:5432/NAME"};
  }
  target.host = postgres.host;
  target.port = std::to_string(postgres.reach());
  // They would lead somewhere else than the place that was looked at.
  for (const auto* other : {"hostaddr", "service"}) target.options.erase(other);
  if (!environment.migrate.schema.empty()) target.schema = environment.migrate.schema;
  return target;
}

io::postgres::Target Workspace::database_of(const MigrationPlan& plan) const {
  if (plan.own) return database();
  auto target = io::postgres::parse_target(plan.url, plan.named);
  target.host = plan.host.empty() ? postgres.host : plan.host;
  target.port = std::to_string(plan.host.empty() ? postgres.reach() : plan.port);
  for (const auto* other : {"hostaddr", "service"}) target.options.erase(other);
  if (!environment.migrate.schema.empty()) target.schema = environment.migrate.schema;
  return target;
}

std::optional<io::postgres::Target> Workspace::compose_admin() const {
  const auto* service = service_of(*this, Store::postgres);
  if (service == nullptr) return std::nullopt;
  io::postgres::Target target;
  target.host = postgres.host;
  target.port = std::to_string(postgres.reach());
  target.user = variable_of_service(*service, "POSTGRES_USER");
  if (target.user.empty()) target.user = "postgres";
  target.password = Secret{variable_of_service(*service, "POSTGRES_PASSWORD")};
  target.database = "postgres";
  return target;
}

io::RedisTarget Workspace::redis_target() const {
  io::RedisTarget target;
  if (!redis.variable.empty()) target = io::parse_redis_url(url(redis));
  target.tcp.host = redis.host;
  target.tcp.port = redis.reach();
  return target;
}

}  // namespace codops::ops::dev
