#pragma once
// target::StateStore on a Docker host: files of the volume `codops-PROJECT-state`, reached by the archive API through a
// container of the same name that never runs; read where it is if that is this machine (state_folder.hpp). What a prune took (the container, the image) is made again; reading makes
// nothing but that, and only where the volume exists.
// A removed path stays as an empty folder, which costs next to nothing and is never listed: remove folders, not files,
// where there are many.
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/engine/docker/api.hpp"
#include "lib/io/fd.hpp"
#include "lib/target/state.hpp"

namespace codops::engine::docker {

std::string state_volume_name(const std::string& project);
Labels state_labels(const std::string& project);
// For what the engine said when it could not write there (a full disk, a read-only one).
[[noreturn]] void state_not_written(const std::string& volume, const ApiError& error);
// The files below `prefix` ("" or "state/"), after the folders above them, 0700. `now`: seconds since 1970.
std::vector<io::TarEntry> state_entries(const std::vector<target::StateStore::File>& files, const std::string& prefix, std::int64_t now);

class StateVolume final : public target::StateStore {
 public:
  StateVolume(Api& api, std::string project);

  std::optional<std::string> read(const std::string& path, const Limits& limits) override;
  std::vector<File> read_all(const std::string& folder, const Limits& limits) override;
  void write(const std::vector<File>& files, const Limits& limits) override;
  void remove(const std::vector<std::string>& paths, const Limits& limits) override;

  const std::string& name() const noexcept { return name_; }  // of volume and container
  static constexpr std::string_view folder = "/state";        // where the container has the volume

 private:
  io::Fd here(const Limits& limits);
  std::optional<std::string> fetch(const std::string& path, const Limits& limits);
  void put(const std::vector<io::TarEntry>& entries, const Limits& limits);
  void ensure(const Limits& limits);

  Api& api_;
  std::string project_, name_;
  std::mutex mutex_;
  std::optional<std::string> mountpoint_;  // empty: not here, or not for us
};

}  // namespace codops::engine::docker
