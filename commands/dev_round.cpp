// The daily round: dev status, logs, psql, redis-cli.
#include <fmt/format.h>

#include "commands/dev.hpp"
#include "lib/io/process_replace.hpp"
#include "lib/ops/dev/status.hpp"

namespace codops::commands {
namespace {

class DevVerb : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.choice("--backend", {"auto", "docker", "local"}, backend_, "whose servers: the engine's, or the host's packages'");
    declare_more(parameters);
  }

 protected:
  virtual void declare_more(Parameters& parameters) = 0;
  ops::dev::Workspace workspace(Services& services) const { return ops::dev::observe(dev_inputs(services, backend_.value_or("")), {}, services.limits()); }

 private:
  std::optional<std::string> backend_;
};

class DevStatusVerb final : public DevVerb {
  void declare_more(Parameters&) override {}
  Result run(Services& services) override {
    const auto status = ops::dev::dev_status(workspace(services), services.limits());
    return {status.good() ? Exit::ok : Exit::unhealthy, ops::dev::text(status), ops::dev::json(status)};
  }
};

class DevLogsVerb final : public DevVerb {
  void declare_more(Parameters& parameters) override {
    parameters.positionals("SERVICE", names_, "the services; without one, all");
    parameters.flag("-f,--follow", follow_, "goes on with new lines");
    parameters.number("-n,--tail", "LINES", tail_, "the last lines of each (100)");
  }
  Result run(Services& services) override {
    if (tail_ && *tail_ < 0) throw Failure{Exit::usage, "--tail takes a number of lines"};
    ops::dev::dev_logs(workspace(services), {names_, follow_, static_cast<std::size_t>(tail_.value_or(100))},
                       [&](std::string_view line) { return services.write(line); }, services.limits());
    return {};
  }

  std::vector<std::string> names_;
  bool follow_{};
  std::optional<std::int64_t> tail_;
};

Failure not_here(const ops::dev::StorePlan& plan, const char* what) {
  if (!plan.elsewhere.empty()) return {Exit::config, fmt::format("{} in {} names \"{}\", which setup-dev leaves alone", plan.variable, plan.file, plan.elsewhere), {}};
  return {Exit::config, fmt::format("this checkout has no {}", what), "codops dev status"};
}

class DevPsql final : public DevVerb {
  void declare_more(Parameters& parameters) override { parameters.rest("ARGUMENT", rest_, "what psql gets, such as -c 'SELECT 1'"); }
  Result run(Services& services) override {
    const auto here = workspace(services);
    if (!here.postgres.wanted) throw not_here(here.postgres, "PostgreSQL");
    const auto target = here.database();
    ops::dev::require_own_server(here, here.postgres, services.limits());
    // The password in a variable of psql's own environment: argv would show it to everybody on this machine.
    std::map<std::string, Secret> variables{{"PGHOST", Secret{target.host}}, {"PGPORT", Secret{target.port}}, {"PGUSER", Secret{target.user}},
                                            {"PGDATABASE", Secret{target.database}}, {"PGAPPNAME", Secret{"psql"}}};
    if (!target.password.empty()) variables.emplace("PGPASSWORD", target.password);
    if (!target.schema.empty()) variables.emplace("PGOPTIONS", Secret{"-c search_path=" + target.schema});
    std::vector<std::string> argv{"psql"};
    argv.insert(argv.end(), rest_.begin(), rest_.end());
    io::replace_process(argv, {services.options().caller_umask, services.options().caller_core}, variables);
  }

  std::vector<std::string> rest_;
};

class DevRedisCli final : public DevVerb {
  void declare_more(Parameters& parameters) override { parameters.rest("ARGUMENT", rest_, "what redis-cli gets, such as DBSIZE"); }
  Result run(Services& services) override {
    const auto here = workspace(services);
    if (!here.redis.wanted) throw not_here(here.redis, "Redis");
    const auto target = here.redis_target();
    ops::dev::require_own_server(here, here.redis, services.limits());
    std::map<std::string, Secret> variables;
    if (!target.password.empty()) variables.emplace("REDISCLI_AUTH", target.password);
    std::vector<std::string> argv{"redis-cli", "-h", target.tcp.host, "-p", std::to_string(target.tcp.port), "-n", std::to_string(target.database)};
    if (!target.user.empty()) argv.insert(argv.end(), {"--user", target.user});
    argv.insert(argv.end(), rest_.begin(), rest_.end());
    io::replace_process(argv, {services.options().caller_umask, services.options().caller_core}, variables);
  }

  std::vector<std::string> rest_;
};

}  // namespace

std::unique_ptr<Command> make_dev_status() { return make_command<DevStatusVerb>(); }
std::unique_ptr<Command> make_dev_logs() { return make_command<DevLogsVerb>(); }
std::unique_ptr<Command> make_dev_psql() { return make_command<DevPsql>(); }
std::unique_ptr<Command> make_dev_redis_cli() { return make_command<DevRedisCli>(); }

}  // namespace codops::commands
