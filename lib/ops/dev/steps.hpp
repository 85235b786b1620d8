#pragma once
// The steps of setup-dev for a workspace: each with the check that makes it skippable.
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/started_commands.hpp"
#include "lib/scaffold/dev/step_graph.hpp"

namespace codops::ops::dev {

// The application's connection, from one check to the next: opening one costs more than all that a check asks. Thread-safe.
class KeptConnection {
 public:
  // The kept one, else a new one. Whoever has asked without an error and without changing the session gives it back.
  io::postgres::Connection take(const io::postgres::Target& target, const Limits& limits);
  void keep(io::postgres::Connection connection);

 private:
  std::mutex mutex_;
  std::optional<io::postgres::Connection> kept_;
};

struct Context {
  const Workspace& workspace;
  scaffold::dev::Ledger& ledger;
  Reporter& reporter;
  const Clock& clock;
  unsigned caller_umask{022};
  KeptConnection& connection;
  scaffold::dev::StartedCommands& commands;
  bool server_is_looked_at{true};  // false: PostgreSQL's own step is left out, and whose server answers has to be asked
};

using Steps = std::vector<scaffold::dev::Step>;

// Every step that this checkout has, in the order in which they are shown. `context` must outlive them.
Steps all_steps(const Context& context);

// --- by theme; each appends
void add_tools(const Context& context, Steps& steps);
void add_env(const Context& context, Steps& steps);      // env, ports
void add_stores(const Context& context, Steps& steps);   // services of the compose file, or the local servers
void add_database(const Context& context, Steps& steps); // database, and the next two
void add_migrations(const Context& context, Steps& steps); // migrate, migrate:*
void add_seed(const Context& context, Steps& steps);
void add_packages(const Context& context, Steps& steps); // install:*, generate:*, build:*

// Names of the steps that later ones need, as far as they exist.
std::vector<std::string> install_steps(const Workspace& workspace);
std::vector<std::string> generate_steps(const Workspace& workspace);
// The commands of `generate`, or Prisma's by convention.
std::vector<settings::DevCommand> generate_commands(const Workspace& workspace);

// Runs a program of the checkout with its variables; its last line is the progress, its last lines the evidence. A line with `fatal` in
// it means that it failed, whatever it ends with. `more`: variables over the checkout's.
void run_tool(const Context& context, const std::vector<std::string>& argv, const std::string& directory, const scaffold::dev::Progress& progress, const Limits& limits,
              std::string_view fatal = {}, const std::map<std::string, std::string>& more = {});
// Before the first migration of a database: is a seed due in it, and has it no rows but those of earlier migrations?
bool note_seed(const Context& context, io::postgres::Connection& connection, const Limits& limits);
// Empty: it answers; else why not, and whether it refuses the login, however long one waits.
std::string ask_redis(const io::RedisTarget& target, const Limits& limits);
bool refuses_login(const std::string& why);
// What the .env files name of this checkout's own server, and can't log in to it, one line each.
std::vector<std::string> refused_logins(const Workspace& workspace, Store store, const Limits& limits);
inline constexpr Milliseconds database_connect_time{10'000};
// Failure{unavailable} where another server has the port, and no step has looked.
void require_own_database(const Context& context, const Limits& limits);
// Tells a database from every other, whatever its name.
std::string database_identity(io::postgres::Connection& connection, const Limits& limits);
// Is it the one that an earlier run prepared, with nothing of its role or extensions changed since?
bool is_known_database(const Context& context, io::postgres::Connection& connection, const Limits& limits);

}  // namespace codops::ops::dev
