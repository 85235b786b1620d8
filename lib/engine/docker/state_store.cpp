#include "lib/engine/docker/state_store.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "lib/engine/docker/objects.hpp"
#include "lib/engine/docker/state_folder.hpp"

namespace codops::engine::docker {
namespace {

constexpr std::uint64_t most_bytes = 512ULL * 1024 * 1024;

void check_path(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.back() == '/' || ("/" + path + "/").find("/../") != std::string::npos) {
    throw Failure{Exit::bug, fmt::format("\"{}\" is no path of the state", path)};
  }
}

std::int64_t seconds(std::optional<WallTime> time) {
  return time ? std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count() : 0;
}

// "a/b/c" → {"a", "a/b"}
void add_parents(const std::string& path, std::set<std::string>& folders) {
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    folders.insert(path.substr(0, slash));
  }
}

}  // namespace

std::string state_volume_name(const std::string& project) { return fmt::format("codops-{}-state", project); }

Labels state_labels(const std::string& project) {
  return {{std::string{role_label}, "state"}, {std::string{project_label}, project}};
}

void state_not_written(const std::string& volume, const ApiError& error) {
  throw Failure{Exit::failed, fmt::format("the state on the engine (volume {}) can't be written: {}", volume, error.message()),
                "make room there (docker system df), or make it writable; what had been written is kept"};
}

std::vector<io::TarEntry> state_entries(const std::vector<target::StateStore::File>& files, const std::string& prefix, std::int64_t now) {
  std::set<std::string> folders;
  for (const auto& file : files) {
    check_path(file.path);
    add_parents(file.path, folders);
  }
  std::vector<io::TarEntry> entries;
  for (const auto& path : folders) {
    entries.push_back({.path = prefix + path, .mode = 0700, .kind = io::TarEntry::Kind::directory, .mtime = now});
  }
  for (const auto& file : files) {
    entries.push_back({.path = prefix + file.path, .content = file.content, .mode = static_cast<unsigned>(file.mode), .mtime = now, .uid = static_cast<std::uint32_t>(file.uid),
                       .gid = static_cast<std::uint32_t>(file.gid)});
  }
  return entries;
}

StateVolume::StateVolume(Api& api, std::string project)
    : api_{api}, project_{std::move(project)}, name_{state_volume_name(project_)} {}

void StateVolume::ensure(const Limits& limits) {
  api_.create_volume({.name = name_, .labels = state_labels(project_)}, limits);
  try {
    create_resting_container(api_, name_, state_labels(project_), {{name_, std::string{folder}}}, limits);
  } catch (const ApiError& error) {
    if (!error.conflict()) throw;
    const auto found = api_.find_container(name_, limits);
    if (found && !found->labels.contains(std::string{role_label})) {
      throw Failure{Exit::failed, fmt::format("the container \"{}\" is not codops' own", name_),
                    fmt::format("docker rename {0} {0}-other", name_)};
    }
  }
}

// The volume's folder, where it is one that we can read ourselves; else invalid, which says nothing of what is there.
io::Fd StateVolume::here(const Limits& limits) {
  const std::lock_guard guard{mutex_};
  if (!mountpoint_) {
    if (api_.client().endpoint().remote()) {
      mountpoint_.emplace();
    } else {
      const auto volume = api_.find_volume(name_, limits);
      if (!volume) return {};
      mountpoint_ = ::access(volume->mountpoint.c_str(), R_OK | X_OK) == 0 ? volume->mountpoint : "";
    }
  }
  if (mountpoint_->empty()) return {};
  // Asked anew each time: the container's absence must show, and a volume may be made again.
  const auto stat = api_.stat_path(name_, std::string{folder}, limits);
  return stat ? open_state_folder(*mountpoint_, *stat) : io::Fd{};
}

std::optional<std::string> StateVolume::fetch(const std::string& path, const Limits& limits) {
  const auto full = path.empty() ? std::string{folder} : fmt::format("{}/{}", folder, path);
  std::string tar;
  const auto append = [&tar](std::string_view bytes) {
    tar += bytes;
    if (tar.size() > most_bytes) throw Failure{Exit::data, "the state volume is too large"};
  };
  if (api_.get_archive(name_, full, append, limits)) return tar;
  // Either the path or the container is missing.
  if (api_.find_container(name_, limits) || !api_.find_volume(name_, limits)) return std::nullopt;
  ensure(limits);
  if (api_.get_archive(name_, full, append, limits)) return tar;
  return std::nullopt;
}

void StateVolume::put(const std::vector<io::TarEntry>& entries, const Limits& limits) {
  const auto tar = io::write_tar(entries);
  try {
    api_.put_archive(name_, std::string{folder}, tar, limits);
  } catch (const ApiError& error) {
    if (!error.not_found()) state_not_written(name_, error);
    ensure(limits);
    api_.put_archive(name_, std::string{folder}, tar, limits);
  }
}

std::optional<std::string> StateVolume::read(const std::string& path, const Limits& limits) {
  check_path(path);
  if (const auto local = here(limits)) return read_state_file(local, path, most_bytes);
  const auto tar = fetch(path, limits);
  if (!tar) return std::nullopt;
  for (auto& entry : io::read_tar(io::bytes_of(*tar), most_bytes)) {
    // Anything else is a folder, or what is left of a removed file.
    if (entry.kind == io::TarEntry::Kind::file) return entry.path.find('/') == std::string::npos ? std::optional{std::move(entry.content)} : std::nullopt;
  }
  return std::nullopt;
}

std::vector<target::StateStore::File> StateVolume::read_all(const std::string& below, const Limits& limits) {
  if (!below.empty()) check_path(below);
  std::vector<File> files;
  if (const auto local = here(limits)) {
    files = read_state_files(local, below, most_bytes);
  } else if (const auto tar = fetch(below, limits)) {
    for (auto& entry : io::read_tar(io::bytes_of(*tar), most_bytes)) {
      // The archive's paths begin with the last part of what was asked for.
      const auto slash = entry.path.find('/');
      if (entry.kind != io::TarEntry::Kind::file || slash == std::string::npos) continue;
      const auto rest = entry.path.substr(slash + 1);
      files.push_back({below.empty() ? rest : fmt::format("{}/{}", below, rest), std::move(entry.content)});
    }
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

void StateVolume::write(const std::vector<File>& files, const Limits& limits) {
  if (files.empty()) return;
  put(state_entries(files, {}, seconds(api_.client().engine_now())), limits);
}

void StateVolume::remove(const std::vector<std::string>& paths, const Limits& limits) {
  if (paths.empty()) return;
  std::vector<io::TarEntry> entries;
  for (const auto& path : paths) {
    check_path(path);
    // The archive API can't delete, but unpacking a file where there is a folder removes the folder first, whole, and
    // a folder in place of a file the file. So: both, one after the other.
    entries.push_back({.path = path, .mode = 0600});
    entries.push_back({.path = path, .mode = 0700, .kind = io::TarEntry::Kind::directory});
  }
  put(entries, limits);
}

}  // namespace codops::engine::docker
