#pragma once
// A developer's checkout as setup-dev finds it, and what it decides from that: which backend runs the stores, where they
// will be, what becomes of the .env files. Reads only.
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/reporter.hpp"
#include "lib/compose/model.hpp"
#include "lib/io/postgres.hpp"
#include "lib/io/redis_probe.hpp"
#include "lib/io/server_parts.hpp"
#include "lib/ops/store_kind.hpp"
#include "lib/scaffold/dev/env_plan.hpp"
#include "lib/scaffold/dev/env_text.hpp"
#include "lib/scaffold/dev/ledger.hpp"
#include "lib/scaffold/dev/packages.hpp"
#include "lib/scaffold/dev/ports.hpp"
#include "lib/settings/environment.hpp"

namespace codops::engine::docker {
class Api;
}

namespace codops::ops::dev {

using io::Store;

enum class Backend { docker, local };
std::string_view name_of(Backend backend);

struct Inputs {
  settings::Environment environment;         // the project's folder, setup_dev, migrate, database, redis
  std::map<std::string, std::string> shell;  // the caller's variables
  std::string backend;                       // "auto", "docker", "local"; empty: the settings'
};

// PostgreSQL or Redis of this checkout.
struct StorePlan {
  Store store{Store::none};
  bool wanted{};
  std::string name;              // of its step: the compose service, else "postgres", "redis"
  std::string service;           // the compose service; empty: the local backend runs it
  std::string variable, file;    // what names it: "DATABASE_URL" in ".env"; empty: derived from the compose file
  bool in_parts{};               // they give it in pieces (io/server_parts.hpp): `variable` is the first of them
  std::string elsewhere;         // the host that the variable names, which is neither this machine nor a service: hands off
  std::string host{"127.0.0.1"}; // where programs of this machine reach it
  std::uint16_t port{};
  // Set where the engine chooses the port, anew at each start: 0 until the container runs. Then `port` is 0.
  std::shared_ptr<std::atomic<std::uint16_t>> given;
  std::uint16_t reach() const noexcept { return given ? given->load() : port; }
};

// A port that somebody of this checkout will listen on.
struct PortPlan {
  std::string service;           // "postgres"
  std::string address;           // "127.0.0.1"; empty: all
  std::uint16_t port{};
  Store store{Store::none};
  std::string variable;          // of the compose file; empty: the number is written there
  bool both{};                   // named "localhost": ::1 may not be somebody else's either
  bool ours{};                   // this checkout's own server has it
  std::optional<scaffold::dev::Holder> holder;  // somebody else has it
  std::string holder_container;  // "shop-postgres-1" of another project
  bool orphan{};                 // the holder is this checkout's own server, whose folder was removed
  bool left_over{};              // that container is this project's, of a service that the compose file has not any more
  std::uint16_t moved_to{};      // 0: it stays
};

// A folder of migrations and the database that it is for.
struct MigrationPlan {
  std::string folder;            // relative to the project: "users/prisma/migrations"
  std::string step;              // "migrate" for the checkout's own database, "migrate:users" for another
  bool own{};                    // the checkout's own database; the rest is of another one
  std::string url, named;        // what it is, and where that stands: "DATABASE_URL in users/.env"
  std::string host;              // of another service of the compose file; empty: on the checkout's own server
  std::uint16_t port{};
  std::string server{};          // that service's step
  std::string subject{"development"};  // behind the verb of `codops migrate`, in the project's folder: "development -C users"
};

struct Workspace {
  settings::Environment environment;
  std::map<std::string, std::string> shell;
  std::filesystem::path project, folder;     // of the checkout; .codops/dev
  Backend backend{Backend::local};
  std::string backend_why;                   // "no engine answers at unix:///…"
  bool remote_engine{};
  std::optional<Failure> engine_failure;     // backend docker was asked for, or has the databases, and does not answer
  std::string engine_place;                  // "unix:///var/run/docker.sock"; empty: none was looked for
  std::shared_ptr<engine::docker::Api> api;  // of the docker backend
  std::vector<scaffold::dev::Package> packages;
  scaffold::dev::NodePin pin;
  std::vector<scaffold::dev::EnvFile> env;   // as they will be
  std::optional<compose::Project> compose;
  std::optional<Failure> compose_failure;
  StorePlan postgres{Store::postgres}, redis{Store::redis};
  std::vector<PortPlan> ports;
  std::vector<std::string> pending_changes;  // "DATABASE_URL in .env": existing values that a move would change; not agreed to
  std::vector<MigrationPlan> migrations;     // the checkout's own database first
  std::vector<std::string> notes;

  // The value that holds for the checkout, by scaffold/dev/env_order.hpp. Empty values count as absent.
  std::optional<std::string> value(const std::string& name) const;
  // What the files say of a store, as a URL; empty: nothing.
  std::string url(const StorePlan& store) const;
  // What the database and Redis are asked with. Throw Failure{config}.
  io::postgres::Target database() const;     // the application's role, at host and port
  io::postgres::Target database_of(const MigrationPlan& plan) const;
  std::optional<io::postgres::Target> compose_admin() const;  // of the compose file's container
  io::RedisTarget redis_target() const;
  // For a command in `directory`: the caller's variables with those of the .env files over them, and what leads to this checkout's own
  // services, where no file of the developer's says otherwise.
  std::map<std::string, std::string> child_environment(const std::string& directory) const;
};

// `agree` is asked before an existing value would be changed; null: never agreed. Throws Failure{config} for files that can't be read.
using Agree = std::function<bool(const std::string& question)>;
Workspace observe(const Inputs& inputs, const Agree& agree, const Limits& limits);

// In a wrong folder "ready" would be no answer: Failure{config} where there is nothing to set up.
void require_something(const Workspace& workspace);

// --- pieces
// .env files that are there in folders of commands, which need be no packages.
void add_command_folders(const std::filesystem::path& project, const std::vector<settings::DevCommand>& commands, std::vector<scaffold::dev::EnvSource>& sources);
void load_compose(Workspace& workspace);
void note_once(Workspace& workspace, std::string note);
// Which folders of migrations go to which database; those of which that can't be told become notes, with the command to type.
void plan_migrations(Workspace& workspace);
// Tells URLs that lead to a port of this machine where nobody is.
void note_strangers(Workspace& workspace);
// A PostgreSQL of this checkout that a URL leads to; nullopt: it leads elsewhere.
struct OwnServer {
  bool main{};            // the checkout's own; the rest is of another service of the compose file
  std::string host, step;
  std::uint16_t port{};
};
std::optional<OwnServer> own_server(const Workspace& workspace, const scaffold::dev::UrlPlace& place);
// Databases beside `main` that the .env files name on the very same server: of a second back end, of tests, Prisma's shadow.
struct OtherDatabase {
  io::postgres::Target target;
  std::string named;      // "DATABASE_URL in users/.env"
};
std::vector<OtherDatabase> other_databases(const Workspace& workspace, const io::postgres::Target& main);
// A store's pieces as a program in `directory` reads them.
std::optional<io::StoreParts> parts_in(const Workspace& workspace, Store store, const std::string& directory);
// Those that count for the checkout, and the file that has the first of them.
struct FoundParts {
  io::StoreParts parts;
  std::string file;
};
std::optional<FoundParts> find_parts(const Workspace& workspace, Store store);
// What else than PostgreSQL or Redis the pieces lead to: "mysql"; empty: nothing says so.
std::string other_server(const Workspace& workspace, Store store, const FoundParts& found);
// Tells a URL in the caller's shell that leads elsewhere: the application, started there, would follow it.
void note_shell(Workspace& workspace);
// Why a command in `directory` would see another database or Redis than the one that was looked at, both places named. Empty: it sees that one.
std::string sees_another(const Workspace& workspace, const std::string& directory);
// Has this checkout's own server or container the store's port, now?
bool is_own_now(const Workspace& workspace, const StorePlan& store, const Limits& limits);
// Where programs usually are: one level down, and in services/, apps/, packages/.
std::vector<std::string> program_folders(const std::filesystem::path& project);
// Existing .env files and those that an example makes, the project's own first.
// `folders_too`: of folders that are no packages, as well.
std::vector<scaffold::dev::EnvSource> find_env_sources(const std::filesystem::path& project, const std::vector<scaffold::dev::Package>& packages, bool folders_too);
// The compose file's service that is the checkout's store; null: it has none.
const compose::Service* service_of(const Workspace& workspace, Store store);
std::string variable_of_service(const compose::Service& service, const std::string& name);
// The port that it has on this machine; 0: none, or of the engine's choice.
std::uint16_t published_port(const compose::Service& service, std::uint16_t target);
// 0: no number.
std::uint16_t port_number(std::string_view text);
// A host that only containers know.
bool is_container_name(const Workspace& workspace, Store store, const std::string& host);
// A compose service's step: its name, but for those that setup-dev's own steps have ("service:migrate").
std::string step_of_service(const std::string& service);
// The variable in the published part of a service's port that becomes `published`: "POSTGRES_PORT"; empty: a plain number.
std::string port_variable(const compose::Project& project, const std::string& service, const std::string& published);
// Into what this run would invent, where the compose file writes the password itself. Were there any?
bool take_compose_passwords(Workspace& workspace);
void plan_ports(Workspace& workspace, const Agree& agree, const Limits& limits);
// URLs and pieces that this run writes get the login of the server that it makes. Were there any that had another?
bool fit_logins(Workspace& workspace);
// Asks the engine for the port that it gave; nothing where there is no such port, or no container that runs.
void learn_port(const Workspace& workspace, const StorePlan& store, const Limits& limits);
// In the ledger: whose the checkout's databases were last, "docker" or "local"; its note is where the engine is.
inline constexpr const char* backend_key = "backend";
// "auto" stays with the databases that are there: an engine that is away is told (engine_failure), never passed over for empty ones.
void choose_backend(Workspace& workspace, const std::string& wanted, const Limits& limits);

}  // namespace codops::ops::dev
