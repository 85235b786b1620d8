#include "lib/ops/dev/workspace.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "lib/base/failure.hpp"
#include "lib/compose/load.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/scaffold/dev/env_order.hpp"
#include "lib/settings/development_compose.hpp"

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
  try {
    return io::read_file_if_there(project / name);
  } catch (const Failure&) {
    struct stat found {};
    if (::access((project / name).c_str(), R_OK) == 0 || ::stat((project / name).c_str(), &found) != 0) throw;
    const bool own = found.st_uid == ::geteuid();
    throw Failure{Exit::config, fmt::format("\"{}\" can't be read: it is user \"{}\"'s, mode {:03o}, and this is user \"{}\"; nothing was changed", name, user_name(found.st_uid), found.st_mode & 0777U, user_name(::geteuid())),
                  own ? fmt::format("chmod u+rw \"{}\"", name) : fmt::format("sudo chown {} \"{}\"", user_name(::geteuid()), name)};
  }
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

// Where examples are somebody's to read, or were made by a tool.
constexpr std::array<std::string_view, 19> no_services{"node_modules", "vendor", "dist", "build", "out", "target", "coverage", "tmp", "temp", "test", "tests", "fixtures", "docs", "doc",
                                                       "example", "examples", "template", "templates", "samples"};

std::vector<std::string> folders_in(const fs::path& project, const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error, hidden;
  for (auto entry = fs::directory_iterator{project / folder, error}; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (name.starts_with('.') || std::find(no_services.begin(), no_services.end(), name) != no_services.end()) continue;
    if (entry->is_directory(hidden) && !entry->is_symlink(hidden)) names.push_back(folder.empty() ? name : folder + "/" + name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Programs in other languages, and such as no workspace names: api/.env.example, services/api/.env.example.
std::vector<std::string> folders_with_examples(const fs::path& project) {
  auto folders = folders_in(project, "");
  for (const auto* parent : service_parents) {
    for (auto& inner : folders_in(project, parent)) folders.push_back(std::move(inner));
  }
  std::vector<std::string> found;
  for (auto& folder : folders) {
    std::error_code error;
    if (fs::exists(project / folder / "package.json", error)) continue;  // find_packages() has it, or a workspace leaves it out
    const bool has = std::any_of(env_names.begin(), env_names.end(), [&](std::string_view name) {
      return std::any_of(example_endings.begin(), example_endings.end(), [&](std::string_view ending) { return fs::is_regular_file(project / folder / (std::string{name} + std::string{ending}), error); });
    });
    if (has) found.push_back(std::move(folder));
  }
  return found;
}

// By somebody's word: the setting, or COMPOSE_FILE of the shell or of .env.
bool names_compose_files(const Workspace& workspace, const compose::LoadOptions& options) {
  if (!workspace.environment.setup_dev.compose_files.empty()) return true;
  for (const auto* variables : {&workspace.shell, &options.extra}) {
    if (const auto named = variables->find("COMPOSE_FILE"); named != variables->end() && !named->second.empty()) return true;
  }
  return false;
}

bool has_usual_compose_file(const Workspace& workspace) {
  return std::any_of(compose_names.begin(), compose_names.end(), [&](const char* name) { return fs::exists(workspace.project / name); });
}

void note_once(Workspace& workspace, std::string note) {
  if (std::find(workspace.notes.begin(), workspace.notes.end(), note) == workspace.notes.end()) workspace.notes.push_back(std::move(note));
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
  note_once(workspace, fmt::format("the stack is \"{}\", as COMPOSE_PROJECT_NAME says, and not \"{}\" as setup_dev.project", options.project_name, setting));
}

void load_compose(Workspace& workspace) {
  compose::LoadOptions options;
  options.project_dir = workspace.project.string();
  for (const auto& file : workspace.environment.setup_dev.compose_files) options.files.push_back((workspace.project / file).string());
  options.profiles = workspace.environment.profiles;
  options.environment = workspace.shell;
  options.env_file_wins = true;
  for (const auto& file : workspace.env) {
    options.files_to_be[(workspace.project / file.path).lexically_normal().string()] = file.after.text();
    for (const auto& link : file.links) options.files_to_be[(workspace.project / link).lexically_normal().string()] = file.after.text();
  }
  // As .env will be, not as it is.
  for (const auto& file : workspace.env) {
    if (file.path != ".env") continue;
    for (const auto& statement : file.after.statements()) {
      if (statement.value) options.extra[statement.name] = *statement.value;
    }
  }
  if (!names_compose_files(workspace, options)) {
    if (const auto own = settings::named_for_development(workspace.project); !has_usual_compose_file(workspace)) {
      if (own.empty()) return;
      options.files.push_back((workspace.project / own).string());
    } else if (!own.empty()) {
      note_once(workspace, fmt::format("{} is there too, and was not looked at; to use it: setup_dev: {{compose_files: [{}]}} in codops.yaml", own, own));
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

std::vector<EnvSource> find_env_sources(const fs::path& project, const std::vector<Package>& packages, bool folders_too) {
  std::vector<EnvSource> sources;
  std::set<std::string> folders;
  find_env(project, "", sources);
  for (const auto& package : packages) {
    if (!package.directory.empty()) folders.insert(package.directory);
  }
  if (folders_too) {
    for (auto& folder : folders_with_examples(project)) folders.insert(std::move(folder));
  }
  for (const auto& folder : folders) find_env(project, folder, sources);
  const auto root = fs::weakly_canonical(project);
  // Two names of one file.
  std::map<std::pair<dev_t, ino_t>, std::string> first_names;
  for (const auto& source : sources) {
    struct stat status {};
    if (source.text && ::lstat((project / source.path).c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 1) first_names.emplace(std::pair{status.st_dev, status.st_ino}, source.path);
  }
  return merged_links(std::move(sources), [&](const std::string& path) {
    std::error_code error;
    struct stat status {};
    if (::lstat((project / path).c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      const auto known = first_names.find({status.st_dev, status.st_ino});
      return known == first_names.end() ? path : known->second;
    }
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
      const bool known = std::any_of(sources.begin(), sources.end(), [&](const EnvSource& one) { return one.path == source.path || std::find(one.links.begin(), one.links.end(), source.path) != one.links.end(); });
      if (!source.text || known) continue;
      source.example.clear();
      source.example_text.clear();
      sources.push_back(std::move(source));
    }
  }
}

Store store_of_service(const compose::Service& service) {
  if (const auto known = store_of_image(service.image); known != Store::none) return known;
  // One that somebody builds, or a company's own: it listens where such a server does, and is called so or configured as one.
  const auto listens_at = [&](Store store) { return std::any_of(service.ports.begin(), service.ports.end(), [&](const compose::Port& port) { return port.target == default_port(store); }); };
  const bool configured = std::any_of(service.environment.begin(), service.environment.end(), [](const auto& variable) {
    return variable.first == "POSTGRES_PASSWORD" || variable.first == "POSTGRES_USER" || variable.first == "POSTGRES_DB" || variable.first == "POSTGRES_HOST_AUTH_METHOD";
  });
  if (listens_at(Store::postgres) && (configured || store_of_name(service.name) == Store::postgres)) return Store::postgres;
  return listens_at(Store::redis) && store_of_name(service.name) == Store::redis ? Store::redis : Store::none;
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

// What a checkout with several back ends has beside the one database that is migrated.
void note_others(Workspace& workspace) {
  if (!workspace.migrations.empty() && workspace.environment.migrate.path.empty()) {
    const auto chosen = fs::weakly_canonical(workspace.migrations);
    std::set<std::string> others;
    const auto look = [&](const fs::path& folder) {
      std::error_code error;
      const auto path = workspace.project / folder;
      if (fs::is_directory(path, error) && !fs::is_empty(path, error) && fs::weakly_canonical(path, error) != chosen) others.insert(folder.string());
    };
    for (const auto& package : workspace.packages) look(fs::path{package.directory} / "prisma/migrations");
    for (const auto* usual : usual_migrations) look(usual);
    const auto own = workspace.migrations.lexically_relative(workspace.project).string();
    if (!others.empty()) note_once(workspace, fmt::format("migrations of {} are not applied, those of {} are: migrate.path in codops.yaml names another, and setup_dev.generate may run their own tool", fmt::join(others, ", "), own));
  }
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    if (!store->wanted || store->port == 0) continue;
    for (const auto& file : workspace.env) {
      for (const auto& statement : file.after.statements()) {
        const auto place = statement.value ? url_place(*statement.value) : std::nullopt;
        if (!place || store_of_scheme(place->scheme) != store->store || !is_loopback(place->host)) continue;
        const auto port = place->port.empty() ? default_port(store->store) : number(place->port);
        const bool planned = std::any_of(workspace.ports.begin(), workspace.ports.end(), [&](const PortPlan& one) { return one.port == port || one.moved_to == port; });
        if (port == 0 || port == store->port || planned || !is_free("127.0.0.1", port)) continue;
        note_once(workspace, fmt::format("{} in {} leads to port {}, where nobody is; this checkout's own server is on {}", statement.name, file.path, port, store->port));
      }
    }
  }
}

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
  note_others(workspace);
  return workspace;
}

io::postgres::Target Workspace::database() const {
  io::postgres::Target target;
  if (!postgres.variable.empty()) {
    target = io::postgres::parse_target(url(postgres), postgres.variable);
  } else if (auto admin = compose_admin()) {
    target = *admin;
    const auto database_name = text_of(*service_of(*this, Store::postgres), "POSTGRES_DB");
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
  if (!redis.variable.empty()) target = io::parse_redis_url(url(redis));
  target.tcp.host = redis.host;
  target.tcp.port = redis.reach();
  return target;
}

}  // namespace codops::ops::dev
