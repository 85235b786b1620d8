#include "lib/ops/dev/workspace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "lib/base/failure.hpp"
#include "lib/compose/load.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/scaffold/dev/env_order.hpp"

namespace codops::ops::dev {
namespace {

namespace fs = std::filesystem;
using namespace scaffold::dev;

// What a file NAME is made from, in this order.
constexpr std::array<std::string_view, 4> example_endings{".example", ".sample", ".template", ".dist"};
// Files that mean a developer's machine; .env.production and its like are nobody's to make here.
constexpr std::array<std::string_view, 4> env_names{".env", ".env.local", ".env.development", ".env.development.local"};

constexpr std::array<const char*, 4> compose_names{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"};
constexpr std::array<const char*, 9> usual_migrations{"prisma/migrations", "backend/prisma/migrations", "server/prisma/migrations", "api/prisma/migrations",
                                                      "db/migrations", "migrations", "backend/migrations", "db/migration",
                                                      "src/main/resources/db/migration"};

std::uint16_t number(std::string_view text) {
  std::uint16_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// A secrets manager may offer .env as a pipe: reading it would wait for whoever writes, for ever if nobody does.
std::optional<std::string> read_env(const fs::path& project, const std::string& name) {
  std::error_code error;
  const auto status = fs::status(project / name, error);
  if (!error && fs::exists(status) && !fs::is_regular_file(status)) {
    throw Failure{Exit::config, fmt::format("\"{}\" is {}, and setup-dev reads plain files only", name, fs::is_directory(status) ? "a folder" : "a pipe or device"), "put a file in its place, or move it away"};
  }
  return io::read_file_if_there(project / name);
}

void find_env(const fs::path& project, const std::string& folder, std::vector<EnvSource>& sources) {
  for (const auto name : env_names) {
    EnvSource source;
    source.path = folder.empty() ? std::string{name} : fmt::format("{}/{}", folder, name);
    source.text = read_env(project, source.path);
    for (const auto ending : example_endings) {
      const auto example = source.path + std::string{ending};
      auto text = read_env(project, example);
      if (!text) continue;
      source.example = example;
      source.example_text = std::move(*text);
      break;
    }
    if (source.text || !source.example.empty()) sources.push_back(std::move(source));
  }
}

bool has_compose_file(const Workspace& workspace) {
  if (!workspace.environment.setup_dev.compose_files.empty()) return true;
  if (const auto named = workspace.shell.find("COMPOSE_FILE"); named != workspace.shell.end() && !named->second.empty()) return true;
  return std::any_of(compose_names.begin(), compose_names.end(), [&](const char* name) { return fs::exists(workspace.project / name); });
}

// As docker compose has it: the shell's variable, then that of .env; codops.yaml stands where the compose file's `name:` does.
void name_project(Workspace& workspace, compose::LoadOptions& options) {
  const auto& setting = workspace.environment.setup_dev.project;
  options.project_name = setting;
  const auto shell = workspace.shell.find("COMPOSE_PROJECT_NAME");
  const auto file = options.extra.find("COMPOSE_PROJECT_NAME");
  if (shell != workspace.shell.end() && !shell->second.empty()) options.project_name = shell->second;
  else if (file != options.extra.end() && !file->second.empty()) options.project_name = file->second;
  if (setting.empty() || setting == options.project_name) return;
  auto note = fmt::format("the stack is \"{}\", as COMPOSE_PROJECT_NAME says, and not \"{}\" as setup_dev.project", options.project_name, setting);
  if (std::find(workspace.notes.begin(), workspace.notes.end(), note) == workspace.notes.end()) workspace.notes.push_back(std::move(note));
}

void load_compose(Workspace& workspace) {
  if (!has_compose_file(workspace)) return;
  compose::LoadOptions options;
  options.project_dir = workspace.project.string();
  for (const auto& file : workspace.environment.setup_dev.compose_files) options.files.push_back((workspace.project / file).string());
  options.profiles = workspace.environment.profiles;
  options.environment = workspace.shell;
  options.env_file_wins = true;
  // As .env will be, not as it is.
  for (const auto& file : workspace.env) {
    if (file.path != ".env") continue;
    for (const auto& statement : file.after.statements()) {
      if (statement.value) options.extra[statement.name] = *statement.value;
    }
  }
  name_project(workspace, options);
  try {
    workspace.compose = compose::load(options);
  } catch (const Failure& failure) {
    workspace.compose_failure = failure;
  }
}

const compose::Service* service_of(const Workspace& workspace, Store store) {
  if (!workspace.compose) return nullptr;
  // Others may use the same image: a job that fills it, a replica. The store itself is the one that is published, or is called so.
  const compose::Service* best = nullptr;
  int best_score = -1;
  for (const auto& [name, service] : workspace.compose->services) {
    if (store_of_image(service.image) != store) continue;
    const bool is_published = std::any_of(service.ports.begin(), service.ports.end(), [&](const compose::Port& port) { return port.target == default_port(store); });
    const bool is_named = store_of_name(name) == store;
    const int score = (is_published ? 2 : 0) + (is_named ? 1 : 0);
    if (score <= best_score) continue;
    best = &service;
    best_score = score;
  }
  return best;
}

std::string text_of(const compose::Service& service, const std::string& name) {
  const auto found = service.environment.find(name);
  return found != service.environment.end() && found->second ? *found->second : std::string{};
}

std::uint16_t published(const compose::Service& service, std::uint16_t target) {
  for (const auto& port : service.ports) {
    if (port.target == target) return number(port.published);
  }
  return 0;
}

// Where a store is named, and by whom it will be run.
void plan_store(Workspace& workspace, StorePlan& plan, const std::string& variable, const std::string& usual_name) {
  plan.name = usual_name;
  const auto* service = service_of(workspace, plan.store);
  const auto standard = default_port(plan.store);
  if (const auto url = named_first(workspace.env, variable)) {
    plan.variable = variable;
    plan.file = url->file;
    const auto place = url_place(url->value);
    const auto scheme = place ? place->scheme : url->value.substr(0, url->value.find(':'));
    if (place ? store_of_scheme(scheme) != plan.store : scheme == "file" || scheme == "sqlite" || scheme == "jdbc") {
      plan.elsewhere = scheme;
    } else if (!place || place->host.empty()) {
      plan.port = standard;  // no URL at all: the step that reads it tells
    } else {
      plan.port = place->port.empty() ? standard : number(place->port);
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
    plan.port = published(*service, standard);
    if (entry->published.empty()) plan.given = std::make_shared<std::atomic<std::uint16_t>>(std::uint16_t{0});
  } else if (plan.port == 0) {
    plan.port = service != nullptr && published(*service, standard) != 0 ? published(*service, standard) : standard;
  }
}


}  // namespace

std::string_view name_of(Backend backend) { return backend == Backend::docker ? "docker" : "local"; }

std::vector<EnvSource> find_env_sources(const fs::path& project, const std::vector<Package>& packages) {
  std::vector<EnvSource> sources;
  find_env(project, "", sources);
  for (const auto& package : packages) {
    if (!package.directory.empty()) find_env(project, package.directory, sources);
  }
  const auto root = fs::weakly_canonical(project);
  return merged_links(std::move(sources), [&](const std::string& path) {
    std::error_code error;
    const auto target = fs::read_symlink(project / path, error);
    if (error) return path;
    // Not canonical(): what it leads to may be made by this very run.
    const auto behind = (project / path).parent_path() / target;
    return (fs::weakly_canonical(behind.parent_path(), error) / behind.filename()).lexically_relative(root).string();
  });
}

void add_command_folders(const fs::path& project, const std::vector<settings::DevCommand>& commands, std::vector<EnvSource>& sources) {
  for (const auto& command : commands) {
    std::vector<EnvSource> found;
    if (!command.directory.empty() && command.directory != ".") find_env(project, command.directory, found);
    for (auto& source : found) {
      const bool known = std::any_of(sources.begin(), sources.end(), [&](const EnvSource& one) { return one.path == source.path; });
      if (!source.text || known) continue;
      source.example.clear();
      source.example_text.clear();
      sources.push_back(std::move(source));
    }
  }
}

Store store_of_image(const std::string& image) {
  auto name = image.substr(0, image.find('@'));
  if (const auto slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  name = name.substr(0, name.find(':'));
  for (const auto* known : {"postgres", "postgresql", "postgis", "timescaledb", "pgvector"}) {
    if (name == known) return Store::postgres;
  }
  for (const auto* known : {"redis", "valkey", "keydb", "redis-stack", "redis-stack-server"}) {
    if (name == known) return Store::redis;
  }
  return Store::none;
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

Workspace observe(const Inputs& inputs, const Agree& agree, const Limits& limits) {
  Workspace workspace;
  workspace.environment = inputs.environment;
  workspace.shell = inputs.shell;
  workspace.project = inputs.environment.directory;
  workspace.folder = dev_folder(workspace.project);
  workspace.packages = find_packages(workspace.project, inputs.environment.setup_dev.directories);
  workspace.pin = node_pin(workspace.project);
  auto sources = find_env_sources(workspace.project, workspace.packages);
  add_command_folders(workspace.project, workspace.environment.setup_dev.seed, sources);
  add_command_folders(workspace.project, workspace.environment.setup_dev.generate, sources);
  workspace.env = plan_env(sources, [] { return io::to_hex(io::random_bytes(16)); });
  load_compose(workspace);
  choose_backend(workspace, inputs.backend.empty() ? inputs.environment.setup_dev.backend : inputs.backend, limits);
  const auto& database = workspace.environment.database.url_variable;
  const auto& redis = workspace.environment.redis.url_variable;
  plan_store(workspace, workspace.postgres, database.empty() ? "DATABASE_URL" : database, "postgres");
  plan_store(workspace, workspace.redis, redis.empty() ? "REDIS_URL" : redis, "redis");
  plan_ports(workspace, agree, limits);
  if (!workspace.engine_failure) {
    for (const auto* store : {&workspace.postgres, &workspace.redis}) learn_port(workspace, *store, limits);
  }
  note_shell(workspace);
  // The ports that were moved are variables of the compose file: what is started is what was announced.
  if (std::any_of(workspace.ports.begin(), workspace.ports.end(), [](const PortPlan& plan) { return plan.moved_to != 0; })) load_compose(workspace);

  const auto& path = workspace.environment.migrate.path;
  if (!path.empty()) workspace.migrations = workspace.project / path;
  for (const auto* usual : usual_migrations) {
    if (workspace.migrations.empty() && workspace.environment.migrate.enabled && fs::is_directory(workspace.project / usual)) workspace.migrations = workspace.project / usual;
  }
  for (const auto& package : workspace.packages) {
    const auto own = workspace.project / package.directory / "prisma/migrations";
    if (workspace.migrations.empty() && workspace.environment.migrate.enabled && fs::is_directory(own)) workspace.migrations = own;
  }
  if (!workspace.postgres.wanted) workspace.migrations.clear();
  return workspace;
}

io::postgres::Target Workspace::database() const {
  io::postgres::Target target;
  if (!postgres.variable.empty()) {
    target = io::postgres::parse_target(value(postgres.variable).value_or(""), postgres.variable);
  } else if (auto admin = compose_admin()) {
    target = *admin;
    const auto database_name = text_of(*service_of(*this, Store::postgres), "POSTGRES_DB");
    target.database = database_name.empty() ? target.user : database_name;
  }
  if (target.user.empty() || target.database.empty()) {
    throw Failure{Exit::config, fmt::format("{} names no {}", postgres.variable.empty() ? "the compose file" : postgres.variable, target.user.empty() ? "user" : "database"),
                  "postgresql://USER:PASSWORD@localhost:5432/NAME"};
  }
  target.host = postgres.host;
  target.port = std::to_string(postgres.reach());
  // They would lead somewhere else than the place that was looked at.
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
  target.user = text_of(*service, "POSTGRES_USER");
  if (target.user.empty()) target.user = "postgres";
  target.password = Secret{text_of(*service, "POSTGRES_PASSWORD")};
  target.database = "postgres";
  return target;
}

io::RedisTarget Workspace::redis_target() const {
  io::RedisTarget target;
  if (!redis.variable.empty()) target = io::parse_redis_url(value(redis.variable).value_or(""));
  target.tcp.host = redis.host;
  target.tcp.port = redis.reach();
  return target;
}

}  // namespace codops::ops::dev
