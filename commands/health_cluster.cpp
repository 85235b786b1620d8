// Checks of an environment in a cluster: its workloads, its database and Redis through their pods, its front door.
#include "commands/health_cluster.hpp"

#include "commands/database.hpp"
#include "commands/host.hpp"
#include "lib/health/from_settings.hpp"
#include "lib/health/postgres_target.hpp"

namespace codops::commands {
namespace {

std::string value_or_empty(std::optional<std::string> value) { return value ? std::move(*value) : std::string{}; }

}  // namespace

health::Convention checks_of_cluster(Services& services, const settings::Environment& environment, health::BackupAge backup_age, const Limits& limits) {
  health::Convention out;
  std::shared_ptr<ops::Engine> engine;
  std::optional<Failure> no_engine;
  try {
    engine = open_engine(services, environment.name);
  } catch (const Failure& failure) {
    // What is listed beside its workloads can be asked without a cluster.
    if (environment.health.checks.empty()) throw;
    no_engine = failure;
  }
  out.alive.push_back(engine);
  health::Wiring wiring;
  wiring.backup_age = std::move(backup_age);
  wiring.variable = [&](const std::string& name) {
    auto value = engine ? engine->defined_url(name) : variable_in_files(services, environment, name);
    return value ? value : services.variable(name);
  };
  wiring.workload = [engine, no_engine](const std::string& name) -> health::AskWorkload {
    return [engine, no_engine, name](const Limits& within) {
      if (no_engine) throw *no_engine;
      return engine->workload(name, within);
    };
  };
  wiring.reach = [&](const std::string& host, std::uint16_t port, io::Via& via) {
    if (!engine || !engine->is_inside(host)) return;
    try {
      io::postgres::Target target;
      target.port = std::to_string(port);
      auto reached = engine->reach(host, target, limits);
      if (!reached) return;
      via = {reached->endpoint->host(), reached->endpoint->port(), reached->endpoint->unix_socket()};
      out.alive.push_back(std::shared_ptr<void>{std::move(reached->endpoint)});
    } catch (const Failure&) {
      // The check itself says that nothing answers, with its stage.
    }
  };
  if (!environment.health.checks.empty()) {
    for (const auto& described : environment.health.checks) out.checks.push_back(check_from(described, environment.health, wiring));
    return out;
  }
  if (!environment.health.convention) return out;
  for (const auto& name : engine->workloads(limits)) out.checks.push_back(health::workload_check(name, wiring.workload(name)));
  health::ConventionFacts facts;
  facts.front_door_url = environment.front_door.url;
  facts.front_door_ca = environment.front_door.ca;
  const auto& variable = environment.database.url_variable;
  facts.database_url = value_or_empty(engine->defined_url(variable.empty() ? "DATABASE_URL" : variable));
  if (!facts.database_url.empty()) facts.database_name = variable.empty() ? "DATABASE_URL" : variable;
  try {
    if (facts.database_url.empty()) facts.database_url = value_or_empty(engine->defined_in_pieces(false));
    if (facts.database_url.empty() && engine->defined_in_pieces(true)) {
      services.reporter().warn("the database of DB_HOST and its like is left out: nothing says of which kind it is; DB_CONNECTION=pgsql does, or a check in codops.yaml: {postgres: \"postgresql://…\"}");
    }
  } catch (const Failure& failure) {
    facts.database_trouble = failure;
  }
  try {
    const bool ours = !facts.database_url.empty() && !health::is_of_another_database(facts.database_url);
    if (const auto target = ours ? health::postgres_target(facts.database_url, facts.database_name) : std::nullopt) {
      wiring.reach(target->host, static_cast<std::uint16_t>(target->port.empty() ? 5432 : std::atoi(target->port.c_str())), facts.database_via);
    }
  } catch (const Failure&) {
    // Its check says why it can't be read.
  }
  auto found = conventional_checks(facts);
  std::move(found.checks.begin(), found.checks.end(), std::back_inserter(out.checks));
  out.alternatives = std::move(found.alternatives);
  for (auto& check : out.checks) check.timeout = environment.health.timeout;
  return out;
}

}  // namespace codops::commands
