// PostgreSQL and Redis, by either backend, up to the point where they answer in their own protocol.
#include <fmt/format.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/health/run.hpp"
#include "lib/ops/dev/containers.hpp"
#include "lib/ops/dev/steps.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/local_redis.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;

constexpr Milliseconds answer_time{60'000};

Failure wrong_redis_password(const Workspace& workspace, const std::string& why) {
  const auto& redis = workspace.redis;
  const auto named = redis.variable.empty() ? std::string{"the URL that setup-dev makes"} : fmt::format("{} in {}", redis.variable, redis.file);
  return Failure{Exit::config, fmt::format("{}:{} answers, and {}", redis.host, redis.reach(), why),
                 fmt::format("{} must have the password that the compose file gives to \"{}\"{}: make them the same, then codops setup-dev", named, redis.service,
                             workspace.value("REDIS_PASSWORD") ? " (REDIS_PASSWORD)" : "")};
}

// Twice over TCP, each on a connection of its own: a server that is being made answers once, then restarts. A wrong password
// or a missing database is an answer too.
std::string ask_postgres(const io::postgres::Target& target, const Limits& limits) {
  try {
    for (int twice = 0; twice < 2; ++twice) {
      io::postgres::Connection::open(target, limits.within(Milliseconds{3'000})).query("SELECT 1", limits.within(Milliseconds{3'000}));
    }
    return {};
  } catch (const io::postgres::DatabaseError& error) {
    return error.code() == Exit::config ? std::string{} : error.message();
  } catch (const Failure& failure) {
    if (failure.code() == Exit::deadline && !limits.deadline.expired()) return "no answer in 3 s";
    throw;
  }
}

// A database that an earlier run prepared has not just been made: one connection is enough, and the next steps ask it too.
std::string ask_known(const Context& context, const Limits& limits) {
  const auto target = context.workspace.database();
  try {
    auto connection = context.connection.take(target, limits.within(Milliseconds{3'000}));
    const bool known = is_known_database(context, connection, limits.within(Milliseconds{3'000}));
    context.connection.keep(std::move(connection));
    if (known) return {};
  } catch (const Failure&) {
    limits.check("asking PostgreSQL");
    // Not in a state to be asked that; whether it answers at all is asked below.
  }
  return ask_postgres(target, limits);
}

std::string ask(const Workspace& workspace, Store store, const Limits& limits) {
  if (store == Store::redis) return ask_redis(workspace.redis_target(), limits);
  auto target = workspace.database();
  return ask_postgres(target, limits);
}

void wait_for_answer(const Workspace& workspace, Store store, const Progress& progress, const Limits& limits) {
  const auto bounded = limits.within(answer_time);
  Backoff backoff{Milliseconds{20}, Milliseconds{500}};
  for (;;) {
    const auto why = ask(workspace, store, bounded);
    if (why.empty()) return;
    if (store == Store::redis && refuses_login(why)) throw wrong_redis_password(workspace, why);
    progress(why);
    if (!backoff.wait(bounded)) throw Failure{Exit::failed, fmt::format("it runs, and does not answer on port {}: {}", store == Store::postgres ? workspace.postgres.reach() : workspace.redis.reach(), why)};
  }
}

// A later run under "auto" stays with what has the data.
void note_backend(const Context& context, bool at_once) {
  const auto& workspace = context.workspace;
  const Done now{std::string{name_of(workspace.backend)}, workspace.backend == Backend::docker ? workspace.engine_place : std::string{}};
  const auto known = context.ledger.find(backend_key);
  if (known && known->inputs == now.inputs && known->note == now.note) return;
  if (at_once) context.ledger.put(backend_key, now);
  else context.ledger.remember(backend_key, now);
}

// ---- the docker backend

const StorePlan* store_of(const Workspace& workspace, const std::string& service) {
  for (const auto* store : {&workspace.postgres, &workspace.redis}) {
    if (store->wanted && store->service == service) return store;
  }
  return nullptr;
}

void add_container(const Context& context, const std::string& service, Steps& steps) {
  const auto& workspace = context.workspace;
  Step step;
  step.name = step_of_service(service);
  step.needs = {"networks", "env", "ports"};
  for (const auto& [needed, dependency] : workspace.compose->services.at(service).depends_on) step.needs.push_back(step_of_service(needed));
  const auto* store = store_of(workspace, service);
  step.check = [&context, &workspace, service, store](const Limits& limits) {
    auto finding = look_at_service(workspace, service, context.ledger, limits);
    if (finding.satisfied && store != nullptr) {
      const auto why = store->store == Store::postgres ? ask_known(context, limits) : ask(workspace, store->store, limits);
      if (!why.empty()) return Finding{false, why, {}, {}};
      note_backend(context, false);
    }
    return finding;
  };
  step.act = [&context, service, store](const Progress& progress, const Limits& limits) {
    if (store != nullptr) note_backend(context, true);
    auto text = bring_up(context.workspace, service, context.ledger, progress, context.reporter, context.clock, limits);
    if (store == nullptr) return text;
    learn_port(context.workspace, *store, limits);
    wait_for_answer(context.workspace, store->store, progress, limits);
    return fmt::format("{} on {}:{}", text, store->host, store->reach());
  };
  steps.push_back(std::move(step));
}

// ---- the local backend

Finding look_at_local_postgres(const Context& context, const Limits& limits) {
  const auto& workspace = context.workspace;
  const LocalPostgres server{workspace.project};
  std::string hint;
  if (auto wrong = server.trouble(hint); !wrong.empty()) throw Failure{Exit::unavailable, std::move(wrong), hint};
  const auto port = server.port_in_use();
  if (port == 0) return {false, server.has_data() ? "is stopped" : "is not there yet", {}, {}};
  if (port != workspace.postgres.port) return {false, fmt::format("runs on port {}, and {} is wanted", port, workspace.postgres.port), {}, {}};
  if (!server.listens_at(port)) return {false, fmt::format("runs, and not on 127.0.0.1:{}", port), {}, {}};
  std::string why;
  try {
    why = ask_known(context, limits);
  } catch (const Failure& failure) {
    // A URL that can't be used is the next step's to tell.
    if (failure.code() != Exit::config) throw;
    why = ask_postgres(server.admin(port), limits);
  }
  if (!why.empty()) return {false, why, {}, {}};
  note_backend(context, false);
  return {true, fmt::format("PostgreSQL {} on 127.0.0.1:{}", server.major(), port), {}, {}};
}

// After a crash of the server its children hold on to its memory for a moment, and a new one refuses to start; one that a killed run
// had started may not be seen yet.
bool passes(const Failure& failure) {
  const std::string_view said{failure.message()};
  return said.find("shared memory block") != std::string_view::npos || said.find("lock file \"postmaster.pid\"") != std::string_view::npos;
}

std::string start_local_postgres(const Context& context, const Progress& progress, const Limits& limits) {
  const auto& workspace = context.workspace;
  note_backend(context, true);
  LocalPostgres server{workspace.project};
  const auto& plan = workspace.postgres;
  if (server.process() && (server.port_in_use() != plan.port || !server.listens_at(plan.port))) {
    progress(server.port_in_use() != plan.port ? "restarts on another port" : "restarts, to listen on 127.0.0.1");
    server.stop(limits);
  }
  constexpr int attempts = 5;
  Backoff backoff{Milliseconds{300}, Milliseconds{2'000}};
  for (int attempt = 1;; ++attempt) {
    if (!server.process()) {
      progress(server.has_data() ? "starts" : "makes its data folder");
      server.start(plan.port, limits);
    }
    try {
      server.wait_ready(plan.port, limits);
      break;
    } catch (const Failure& failure) {
      if (failure.code() != Exit::failed || !passes(failure) || attempt == attempts || !backoff.wait(limits)) throw;
    }
  }
  return fmt::format("PostgreSQL {} on 127.0.0.1:{}", server.major(), plan.port);
}

RedisAccount account_of(const Workspace& workspace) {
  const auto target = workspace.redis_target();
  if (target.tls) {
    throw Failure{Exit::config, fmt::format("{} in {} wants TLS (rediss://), and the Redis that setup-dev runs has none", workspace.redis.variable, workspace.redis.file),
                  "redis:// in a file of this machine, or --backend docker with a Redis that has TLS"};
  }
  return {workspace.redis.port, target.user, target.password, target.database};
}

Finding look_at_local_redis(const Context& context, const Limits& limits) {
  const auto& workspace = context.workspace;
  const LocalRedis server{workspace.project};
  std::string hint;
  if (auto wrong = server.trouble(hint); !wrong.empty()) throw Failure{Exit::unavailable, std::move(wrong), hint};
  if (!server.process()) return {false, server.has_data() ? "is stopped" : "is not there yet", {}, {}};
  const auto account = account_of(workspace);
  if (!context.ledger.is("redis", account.fingerprint())) return {false, "runs with another port or password than REDIS_URL has", {}, {}};
  if (const auto why = ask_redis(workspace.redis_target(), limits); !why.empty()) return {false, why, {}, {}};
  note_backend(context, false);
  return {true, fmt::format("Redis on 127.0.0.1:{}", account.port), {}, {}};
}

std::string start_local_redis(const Context& context, const Progress& progress, const Limits& limits) {
  const auto& workspace = context.workspace;
  note_backend(context, true);
  LocalRedis server{workspace.project};
  const auto account = account_of(workspace);
  pid_t started = 0;
  if (server.process() && !context.ledger.is("redis", account.fingerprint())) {
    progress("restarts as REDIS_URL has it");
    server.stop(limits);
  }
  if (!server.process()) {
    context.ledger.drop("redis");
    progress("starts");
    started = server.start(account, limits);
  }
  const auto bounded = limits.within(answer_time);
  Backoff backoff{Milliseconds{10}, Milliseconds{300}};
  const auto begun = Deadline::after(Milliseconds{3'000});
  bool seen = false;
  for (;;) {
    const auto why = ask_redis(workspace.redis_target(), bounded);
    const bool runs = server.process().has_value();
    seen = seen || runs;
    if (why.empty() && runs) break;
    if ((seen && !runs) || (!runs && begun.expired())) {
      server.end_failed(started, Limits{});
      std::string tail;
      for (const auto& line : last_lines(server.log(), 8)) tail += "\n  │ " + line;
      const auto holder = holder_of(account.port, "127.0.0.1");
      throw Failure{Exit::failed, "Redis ended while it started:" + tail,
                    holder ? fmt::format("port {} is taken by {}: end it, or codops setup-dev --remap", account.port, holder->text()) : "codops dev logs redis"};
    }
    progress(why);
    if (!backoff.wait(bounded)) throw Failure{Exit::failed, "Redis does not answer: " + why, "codops dev logs redis"};
  }
  context.ledger.put("redis", {account.fingerprint(), {}});
  return fmt::format("Redis on 127.0.0.1:{}", account.port);
}

}  // namespace

std::string ask_redis(const io::RedisTarget& target, const Limits& limits) {
  health::Check check;
  check.name = "redis";
  health::RedisCheck redis;
  redis.target = target;
  check.what = std::move(redis);
  check.timeout = Milliseconds{2'000};
  const auto report = health::run({check}, {}, limits.within(Milliseconds{3'000}));
  limits.check("asking Redis");
  const auto& outcome = report.outcomes.front();
  return outcome.status == health::Status::ok || outcome.status == health::Status::warn ? std::string{} : outcome.message;
}

bool refuses_login(const std::string& why) { return why.starts_with("the login is refused") || why.starts_with("Redis wants a password"); }

void add_stores(const Context& context, Steps& steps) {
  const auto& workspace = context.workspace;
  if (workspace.compose_failure && workspace.backend == Backend::docker) {
    steps.push_back({"compose", {}, [&workspace](const Limits&) -> Finding { throw *workspace.compose_failure; }, {}});
    return;
  }
  if (workspace.backend == Backend::docker) {
    if (!workspace.compose) {
      steps.push_back({"compose", {}, [](const Limits&) -> Finding {
                         throw Failure{Exit::config, "there is no compose file for development", "add docker-compose.yml, name it in setup_dev.compose_files, or use --backend local"};
                       }, {}});
      return;
    }
    steps.push_back({"networks", {"env"},
                     [&workspace](const Limits& limits) {
                       if (workspace.engine_failure) throw *workspace.engine_failure;
                       require_ours(workspace, limits);
                       return look_at_networks(workspace, limits);
                     },
                     [&workspace](const Progress&, const Limits& limits) { return make_networks(workspace, limits); }});
    for (const auto& [name, service] : workspace.compose->services) {
      if (service.replicas() != 0) add_container(context, name, steps);
    }
    return;
  }
  if (workspace.postgres.wanted) {
    steps.push_back({workspace.postgres.name, {"env", "ports"}, [&context](const Limits& limits) { return look_at_local_postgres(context, limits); },
                     [&context](const Progress& progress, const Limits& limits) { return start_local_postgres(context, progress, limits); }});
  }
  if (workspace.redis.wanted) {
    steps.push_back({workspace.redis.name, {"env", "ports"}, [&context](const Limits& limits) { return look_at_local_redis(context, limits); },
                     [&context](const Progress& progress, const Limits& limits) { return start_local_redis(context, progress, limits); }});
  }
}

}  // namespace codops::ops::dev
