// --down and --reset: stopping what setup-dev started, and removing what it keeps.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/io/redis.hpp"
#include "lib/ops/dev/containers.hpp"
#include "lib/ops/dev/seed_rows.hpp"
#include "lib/ops/dev/setup.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/local_redis.hpp"
#include "lib/scaffold/dev/orphans.hpp"
#include "lib/scaffold/dev/started_commands.hpp"

namespace codops::ops::dev {
namespace {

namespace fs = std::filesystem;
using namespace scaffold::dev;

std::uint64_t size_of(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator{folder, fs::directory_options::skip_permission_denied, error}; !error && entry != fs::recursive_directory_iterator{};
       entry.increment(error)) {
    std::error_code gone;
    if (entry->is_regular_file(gone)) bytes += entry->file_size(gone);
  }
  return bytes;
}

// Redis writes its file a minute after a change, or at its end: the running server knows more. Empty: there is nothing to lose.
std::string redis_loss(const Workspace& workspace, const Limits& limits) {
  const LocalRedis redis{workspace.project};
  const auto running = redis.process();
  const auto text = fmt::format("the data of the local Redis: \"{}\"", redis.folder().string());
  if (!running) return redis.has_data() ? text : std::string{};
  try {
    const auto bounded = limits.within(Milliseconds{3'000});
    io::RedisConnection connection{workspace.redis_target(), bounded};
    const auto info = connection.command({"INFO"}, bounded).text;
    // Another one may have the port by now.
    if (info.find(fmt::format("process_id:{}\r", running->pid())) != std::string::npos) {
      const auto keys = keys_in_redis_info(info);
      if (keys == 0 && !redis.has_data()) return {};
      return fmt::format("{} (keys: {})", text, keys);
    }
  } catch (const Failure&) {
    limits.check("asking Redis");
  }
  return text + " (it runs, and does not tell how much it holds)";
}

// As root the data may be where this run does not look, and a link leads elsewhere: nobody may be told that there is none, or that it is gone.
void require_none_elsewhere(const fs::path& project) {
  std::string hint;
  const LocalPostgres postgres{project};
  for (const auto& path : {postgres.folder(), postgres.data(), LocalRedis{project}.folder()}) {
    if (const auto linked = linked_data(path, hint); !linked.empty()) throw Failure{Exit::failed, linked, hint};
  }
  auto why = data_elsewhere(project, "postgres", "data/PG_VERSION", hint);
  if (why.empty()) why = data_elsewhere(project, "redis", "dump.rdb", hint);
  if (!why.empty()) throw Failure{Exit::failed, why, hint};
}

// The engine, whatever backend the settings choose: containers may be there from an earlier run.
bool has_engine(const Workspace& workspace) { return workspace.api && workspace.compose; }

// Without its compose file nobody can say which volumes are this checkout's.
void require_no_containers(const Workspace& workspace, const Limits& limits) {
  std::string names, project;
  for (const auto& one : containers_here(workspace, limits)) {
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", one.name);
    project = one.project;
  }
  if (workspace.compose_failure && (!names.empty() || workspace.backend == Backend::docker)) {
    throw Failure{workspace.compose_failure->code(), fmt::format("what is this checkout's on the engine can't be told: {}; nothing was removed", workspace.compose_failure->message()),
                  "mend the compose file, then codops setup-dev --reset"};
  }
  if (names.empty()) return;
  throw Failure{Exit::config, fmt::format("this checkout has no compose file any more, and {} on the engine: nothing was removed", names),
                fmt::format("put the file back, then codops setup-dev --reset; or docker compose -p {} down --volumes", project)};
}

}  // namespace

std::vector<std::string> kept_folders(const Workspace& workspace) {
  std::vector<std::string> kept;
  if (!has_engine(workspace)) return kept;
  for (const auto& [name, service] : workspace.compose->services) {
    if (store_of_service(service) == Store::none) continue;
    for (const auto& mount : service.volumes) {
      const auto& target = mount.target;
      const bool has_data = target.starts_with("/var/lib/postgresql") || target == "/data" || target.starts_with("/data/") || target.starts_with("/bitnami") || target.starts_with("/home/postgres");
      std::error_code error;
      if (mount.type == "bind" && !mount.read_only && has_data && fs::exists(mount.source, error)) kept.push_back(fmt::format("\"{}\" (of {})", mount.source, name));
    }
  }
  return kept;
}

std::vector<std::string> losses(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> lost;
  // What it holds would be there after all, and said to be gone.
  if (workspace.engine_failure) throw *workspace.engine_failure;
  require_none_elsewhere(workspace.project);
  const LocalPostgres postgres{workspace.project};
  if (postgres.has_data()) lost.push_back(fmt::format("every database of the local PostgreSQL: \"{}\" ({})", postgres.data().string(), format_bytes(size_of(postgres.data()))));
  if (auto redis = redis_loss(workspace, limits); !redis.empty()) lost.push_back(std::move(redis));
  if (workspace.api && !workspace.compose) require_no_containers(workspace, limits);
  if (!has_engine(workspace)) return lost;
  require_ours(workspace, limits);
  require_unused_volumes(workspace, limits);
  for (const auto& volume : volumes_of(workspace, limits)) lost.push_back(fmt::format("volume \"{}\" of the engine", volume));
  for (const auto& container : containers_of(workspace, limits)) lost.push_back(fmt::format("container \"{}\" and its unnamed volumes", container.name));
  return lost;
}

void remove_data(const Workspace& workspace, Ledger& ledger, const Limits& limits) {
  LocalPostgres postgres{workspace.project};
  LocalRedis redis{workspace.project};
  // All of it or nothing: nothing goes before everything has stopped.
  try {
    postgres.stop(limits);
    redis.stop(limits);
    if (has_engine(workspace)) stop_containers(workspace, limits);
  } catch (const Failure& failure) {
    throw Failure{failure.code(), failure.message() + "; nothing was removed", failure.hint()};
  }
  if (postgres.has_data()) postgres.remove();
  if (fs::exists(redis.folder())) redis.remove();
  if (has_engine(workspace)) remove_containers(workspace, limits);
  for (const auto* key : {"database", "seed", rows_before_seed, "redis", backend_key}) ledger.drop(key);
}

Outcome take_down(const Request& request, Reporter& reporter, const Limits& limits) {
  const auto& project = request.inputs.environment.directory;
  const auto folder = dev_folder(project);
  Outcome outcome;
  std::vector<std::string> stopped;
  std::optional<RunLock> lock;
  if (fs::is_directory(folder)) lock = RunLock::take(folder, request.command, request.lock_wait, reporter, limits);
  std::optional<Ledger> ledger;
  if (lock) {
    ledger.emplace(folder);
    end_left_commands(*ledger, limits);
  }
  LocalPostgres postgres{project};
  if (postgres.process()) {
    postgres.stop(limits);
    stopped.emplace_back("PostgreSQL");
  }
  LocalRedis redis{project};
  if (redis.process()) {
    redis.stop(limits);
    stopped.emplace_back("Redis");
  }
  std::vector<std::string> orphans;
  for (const auto& orphan : orphans_of(project)) {
    end_orphan(orphan, limits);
    orphans.push_back(fmt::format("{} (pid {})", orphan.name, orphan.process.pid()));
  }
  require_none_elsewhere(project);
  auto inputs = request.inputs;
  if (inputs.backend != "local") {
    const auto workspace = observe(inputs, {}, limits);
    if (has_engine(workspace)) {
      require_ours(workspace, limits);
      for (const auto& container : containers_of(workspace, limits)) {
        if (container.state.starts_with("exited") || container.state == "created") continue;
        stopped.push_back(container.name);
        if (ledger) ledger->put(stopped_key(container.service), {container.id, {}});
      }
      stop_containers(workspace, limits);
    }
    if (const auto& away = workspace.engine_failure; away && !stopped.empty()) {
      throw Failure{away->code(), fmt::format("{}; stopped were {}", away->message(), fmt::join(stopped, ", ")), away->hint()};
    }
    if (workspace.engine_failure) throw *workspace.engine_failure;
    // The compose file is broken or gone: what it made runs all the same, and the engine knows whose it is.
    if (workspace.api && !workspace.compose) {
      if (workspace.compose_failure) reporter.note(fmt::format("stopped by the engine's labels, for the compose file can't be read: {}", workspace.compose_failure->message()));
      for (const auto& one : containers_here(workspace, limits)) {
        if (one.state.starts_with("exited") || one.state == "created") continue;
        workspace.api->stop_container(one.id, std::chrono::seconds{30}, limits);
        stopped.push_back(one.name);
      }
    }
  }
  if (!orphans.empty()) outcome.text = fmt::format("ended {}, whose folder was removed before, and the data with it\n", fmt::join(orphans, ", "));
  if (!stopped.empty()) outcome.text += fmt::format("stopped {}; the data stays\n  back:  codops setup-dev\n", fmt::join(stopped, ", "));
  if (outcome.text.empty()) outcome.text = "nothing runs\n";
  outcome.json = nlohmann::ordered_json{{"exit", 0}, {"stopped", stopped}, {"ended", orphans}}.dump();
  return outcome;
}

}  // namespace codops::ops::dev
