// --down and --reset: stopping what setup-dev started, and removing what it keeps.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"
#include "lib/ops/dev/containers.hpp"
#include "lib/ops/dev/setup.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/local_redis.hpp"

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

// The engine, whatever backend the settings choose: containers may be there from an earlier run.
bool has_engine(const Workspace& workspace) { return workspace.api && workspace.compose; }

}  // namespace

std::vector<std::string> losses(const Workspace& workspace, const Limits& limits) {
  std::vector<std::string> lost;
  const LocalPostgres postgres{workspace.project};
  if (postgres.has_data()) lost.push_back(fmt::format("every database of the local PostgreSQL: \"{}\" ({})", postgres.data().string(), format_bytes(size_of(postgres.data()))));
  const LocalRedis redis{workspace.project};
  if (redis.has_data()) lost.push_back(fmt::format("the data of the local Redis: \"{}\"", redis.folder().string()));
  if (!has_engine(workspace)) return lost;
  require_ours(workspace, limits);
  for (const auto& volume : volumes_of(workspace, limits)) lost.push_back(fmt::format("volume \"{}\" of the engine", volume));
  for (const auto& container : containers_of(workspace, limits)) lost.push_back(fmt::format("container \"{}\" and its unnamed volumes", container.name));
  return lost;
}

void remove_data(const Workspace& workspace, Ledger& ledger, const Limits& limits) {
  LocalPostgres postgres{workspace.project};
  postgres.stop(limits);
  if (postgres.has_data()) postgres.remove();
  LocalRedis redis{workspace.project};
  redis.stop(limits);
  if (fs::exists(redis.folder())) redis.remove();
  if (has_engine(workspace)) remove_containers(workspace, limits);
  for (const auto* key : {"database", "seed", "redis"}) ledger.drop(key);
}

Outcome take_down(const Request& request, Reporter& reporter, const Limits& limits) {
  const auto& project = request.inputs.environment.directory;
  const auto folder = dev_folder(project);
  Outcome outcome;
  std::vector<std::string> stopped;
  std::optional<RunLock> lock;
  if (fs::is_directory(folder)) lock = RunLock::take(folder, request.command, request.lock_wait, reporter, limits);
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
  auto inputs = request.inputs;
  if (inputs.backend != "local") {
    const auto workspace = observe(inputs, {}, limits);
    if (has_engine(workspace)) {
      require_ours(workspace, limits);
      for (const auto& container : containers_of(workspace, limits)) {
        if (container.state.starts_with("exited") || container.state == "created") continue;
        stopped.push_back(container.name);
      }
      stop_containers(workspace, limits);
    }
    if (workspace.engine_failure) throw *workspace.engine_failure;
  }
  outcome.text = stopped.empty() ? "nothing runs\n" : fmt::format("stopped {}; the data stays\n  back:  codops setup-dev\n", fmt::join(stopped, ", "));
  outcome.json = nlohmann::ordered_json{{"exit", 0}, {"stopped", stopped}}.dump();
  return outcome;
}

}  // namespace codops::ops::dev
