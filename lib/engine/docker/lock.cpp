#include "lib/engine/docker/lock.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"
#include "lib/engine/docker/durable.hpp"
#include "lib/engine/docker/objects.hpp"
#include "lib/engine/docker/state_folder.hpp"
#include "lib/engine/docker/state_store.hpp"

namespace codops::engine::docker {
namespace {

using nlohmann::json;

constexpr const char* owner_label = "codops.lock.owner";
constexpr const char* heartbeat_file = "heartbeat";

}  // namespace

std::string owner_text(const target::LockOwner& owner) {
  return json{{"owner", owner.owner},     {"host", owner.host}, {"command", owner.command},      {"boot_id", owner.boot_id},
              {"pid_namespace", owner.pid_namespace}, {"pid", owner.pid},   {"start_time", owner.start_time}}
      .dump();
}

target::LockOwner owner_from(const std::string& text) {
  target::LockOwner owner;
  const auto value = json::parse(text, nullptr, false);
  owner.owner = text_at(value, {"owner"});
  owner.host = text_at(value, {"host"});
  owner.command = text_at(value, {"command"});
  owner.boot_id = text_at(value, {"boot_id"});
  owner.pid_namespace = text_at(value, {"pid_namespace"});
  owner.pid = number_at(value, {"pid"});
  owner.start_time = static_cast<std::uint64_t>(number_at(value, {"start_time"}));
  return owner;
}

LockContainer::LockContainer(Api& api, std::string project, std::string_view purpose)
    : api_{api}, project_{std::move(project)}, name_{fmt::format("codops-{}-lock-{}", project_, purpose)}, state_volume_{state_volume_name(project_)} {}

std::optional<std::string> LockContainer::try_create(const target::LockOwner& owner, const Limits& limits) {
  try {
    // With labels of its own, before the container would make it without.
    const auto volume = api_.create_volume({.name = state_volume_, .labels = state_labels(project_)}, limits);
    if (!api_.client().endpoint().remote()) mountpoint_ = volume.mountpoint;
    return create_resting_container(api_, name_,
                                    {{std::string{role_label}, "lock"},
                                     {std::string{project_label}, project_},
                                     {owner_label, owner_text(owner)}},
                                    {{state_volume_, std::string{StateVolume::folder}}}, limits);
  } catch (const ApiError& error) {
    if (error.conflict()) return std::nullopt;
    throw;
  }
}

std::optional<target::LockState> LockContainer::inspect(const Limits& limits) {
  const auto container = api_.find_container(name_, limits);
  if (!container) return std::nullopt;
  // By its name alone it could be anybody's, and what a lock is gets removed when it is silent.
  const auto role = container->labels.find(std::string{role_label});
  if (role == container->labels.end() || role->second != "lock") {
    throw Failure{Exit::failed, fmt::format("the container \"{}\" has the name of codops' lock and is not codops' own: no lock can be had", name_),
                  fmt::format("nothing was changed; give it another name (docker rename {0} {0}-other), or remove it", name_)};
  }
  target::LockState state;
  state.token = container->id;
  const auto owner = container->labels.find(owner_label);
  state.owner = owner_from(owner == container->labels.end() ? "" : owner->second);
  if (container->created) state.owner.since = *container->created;
  try {
    if (const auto stat = api_.stat_path(container->id, fmt::format("/{}", heartbeat_file), limits)) state.heartbeat = stat->mtime;
  } catch (const ApiError&) {
    // While somebody removes it the engine finds the container, and its files no more.
    const auto still = api_.find_container(container->id, limits);
    if (!still) return std::nullopt;
    if (still->state != target::RunState::dead) throw;
  }
  state.engine_now = api_.client().ask_engine_now(limits);
  return state;
}

bool LockContainer::heartbeat(const std::string& token, const std::vector<target::StateStore::File>& files, const Limits& limits) {
  // Asked, not reckoned: the steady clock stands still while a laptop sleeps.
  const auto now = std::chrono::floor<std::chrono::seconds>(api_.client().ask_engine_now(limits));
  auto entries = state_entries(files, std::string{StateVolume::folder.substr(1)} + "/", now.time_since_epoch().count());
  entries.push_back({.path = heartbeat_file, .mode = 0600, .mtime = now.time_since_epoch().count()});
  try {
    api_.put_archive(token, "/", io::write_tar(entries), limits);
    if (!files.empty() && !mountpoint_.empty()) {
      std::vector<std::string> paths;
      for (const auto& file : files) paths.push_back(file.path);
      bring_to_disk(mountpoint_, paths);
    }
    return true;
  } catch (const ApiError& error) {
    if (error.not_found()) return false;
    state_not_written(state_volume_, error);
  }
}

std::optional<bool> LockContainer::holds(const std::string& token, const Limits& limits) {
  const auto container = api_.find_container(token, limits);
  return container && container->state != target::RunState::dead;
}

// The archive API takes some 100 ms for a file; the volume itself, where it is a folder of this machine, one or two. The lock is looked at
// before and after: who was stopped in between, for longer than it may be silent, and evicted, takes back what it wrote late.
std::optional<bool> LockContainer::write_new(const std::string& token, const std::vector<target::StateStore::File>& files, const Limits& limits) {
  if (mountpoint_.empty()) return std::nullopt;
  const std::string volume{StateVolume::folder};
  const auto stat = api_.stat_path(token, volume, limits);
  if (!stat) return false;
  const auto folder = open_state_folder(mountpoint_, *stat);
  if (!folder || !add_state_files(folder, files)) return std::nullopt;
  if (api_.stat_path(token, volume, limits)) return true;
  take_back_state_files(folder, files);
  return false;
}

void LockContainer::remove(const std::string& token, const Limits& limits) {
  api_.remove_container(token, true, true, limits);
}

}  // namespace codops::engine::docker
