#pragma once
// The steps of setup-dev for a workspace: each with the check that makes it skippable.
#include <string>
#include <vector>

#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/step_graph.hpp"

namespace codops::ops::dev {

struct Context {
  const Workspace& workspace;
  scaffold::dev::Ledger& ledger;
  Reporter& reporter;
  const Clock& clock;
  unsigned caller_umask{022};
};

using Steps = std::vector<scaffold::dev::Step>;

// Every step that this checkout has, in the order in which they are shown. `context` must outlive them.
Steps all_steps(const Context& context);

// --- by theme; each appends
void add_tools(const Context& context, Steps& steps);
void add_env(const Context& context, Steps& steps);      // env, ports
void add_stores(const Context& context, Steps& steps);   // services of the compose file, or the local servers
void add_database(const Context& context, Steps& steps); // database, migrate, seed
void add_packages(const Context& context, Steps& steps); // install:*, generate:*, build:*

// Names of the steps that later ones need, as far as they exist.
std::vector<std::string> install_steps(const Workspace& workspace);
std::vector<std::string> generate_steps(const Workspace& workspace);
// The commands of `generate`, or Prisma's by convention.
std::vector<settings::DevCommand> generate_commands(const Workspace& workspace);

// Runs a program of the checkout with its variables; its last line is the progress, its last lines the evidence.
void run_tool(const Context& context, const std::vector<std::string>& argv, const std::string& directory, const scaffold::dev::Progress& progress, const Limits& limits);
// One row, identifying a database whatever its name; nullopt when nobody answers.
std::string database_identity(io::postgres::Connection& connection, const Limits& limits);

}  // namespace codops::ops::dev
