#pragma once
// The folder of a drill's server: it says whose it is, so that a later drill can end and remove what a killed one left.
#include <filesystem>

#include "lib/base/cancel.hpp"

namespace codops::backup {

class ScratchFolder {
 public:
  // In TMPDIR; as root it belongs to the user "postgres".
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path data() const { return path_ / "data"; }

 private:
  std::filesystem::path path_;
};

// Where they are made: TMPDIR, or /tmp.
std::filesystem::path scratch_parent();
// Folders of dead drills below `parent`, made by this user: their servers are ended, then they are removed. Never throws for one
// that can't be: the drill at hand does not need it gone.
void sweep_scratch(const std::filesystem::path& parent, const Limits& limits);

}  // namespace codops::backup
