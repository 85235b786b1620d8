#include "lib/engine/docker/durable.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <set>

namespace codops::engine::docker {
namespace {

void flush(int folder, const std::string& path, int kind) {
  const int file = ::openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | kind);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

}  // namespace

void bring_to_disk(const std::string& folder, const std::vector<std::string>& paths) noexcept {
  if (folder.empty() || folder.front() != '/') return;
  const int top = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (top < 0) return;
  try {
    std::set<std::string> folders{"."};
    for (const auto& path : paths) {
      flush(top, path, 0);
      for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) folders.insert(path.substr(0, slash));
    }
    for (const auto& path : folders) flush(top, path, O_DIRECTORY);
  } catch (...) {
    // No memory for a name: as where the folder can't be entered.
  }
  ::close(top);
}

}  // namespace codops::engine::docker
