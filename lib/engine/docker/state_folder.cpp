#include "lib/engine/docker/state_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace codops::engine::docker {
namespace {

[[noreturn]] void refuse(const std::string& path) {
  throw Failure{Exit::failed, fmt::format("cannot read \"{}\" of the state: {}", path, std::strerror(errno))};
}

// Not through links, and not held up by whatever is no file. Invalid: it isn't there, or is nothing of ours.
io::Fd open_one(int folder, const std::string& name, const std::string& path) {
  io::Fd fd{::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!fd && errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != ENXIO) refuse(path);
  return fd;
}

io::Fd open_path(const io::Fd& folder, const std::string& path) {
  io::Fd at{::openat(folder.get(), ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY)};
  if (!at) refuse(path);
  for (std::size_t begin = 0; at && begin < path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    if (end > begin) at = open_one(at.get(), path.substr(begin, end - begin), path);
    begin = end + 1;
  }
  return at;
}

mode_t kind_of(const io::Fd& fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) refuse(path);
  return status.st_mode & S_IFMT;
}

std::string content_of(const io::Fd& file, const std::string& path, std::uint64_t most_bytes) {
  std::string content;
  std::array<char, 65536> buffer{};
  for (;;) {
    const auto got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(path);
    if (got == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(got));
    if (content.size() > most_bytes) throw Failure{Exit::data, "the state volume is too large"};
  }
}

struct Reader {
  std::vector<target::StateStore::File> files;
  std::uint64_t most_bytes;

  void folder(io::Fd fd, const std::string& path) {
    struct Close {
      void operator()(DIR* listing) const { ::closedir(listing); }
    };
    const std::unique_ptr<DIR, Close> listing{::fdopendir(fd.get())};
    if (!listing) refuse(path);
    (void)fd.release();
    for (;;) {
      errno = 0;
      const auto* entry = ::readdir(listing.get());
      if (entry == nullptr && errno != 0) refuse(path);
      if (entry == nullptr) return;
      const std::string name{static_cast<const char*>(entry->d_name)};
      if (name == "." || name == "..") continue;
      const auto below = path.empty() ? name : fmt::format("{}/{}", path, name);
      auto one = open_one(::dirfd(listing.get()), name, below);
      if (!one) continue;
      const auto kind = kind_of(one, below);
      if (kind == S_IFDIR) folder(std::move(one), below);
      if (kind == S_IFREG) add(one, below);
    }
  }
  void add(const io::Fd& file, const std::string& path) {
    files.push_back({path, content_of(file, path, most_bytes)});
    most_bytes -= files.back().content.size();
  }
};

// The folder that a file of that path belongs in; with `make` those that are missing are made. Invalid: it can't be had.
io::Fd folder_of(const io::Fd& top, const std::string& path, bool make) {
  io::Fd at{::openat(top.get(), ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY)};
  for (std::size_t begin = 0, slash = path.find('/'); at && slash != std::string::npos; begin = slash + 1, slash = path.find('/', begin)) {
    const auto name = path.substr(begin, slash - begin);
    if (make && ::mkdirat(at.get(), name.c_str(), 0700) == 0 && ::fsync(at.get()) != 0) return {};
    at.reset(::openat(at.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW));
  }
  return at;
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Without a name until it is whole: nobody finds half of it, and a run that is killed leaves nothing.
bool add(const io::Fd& top, const target::StateStore::File& file) {
  const auto folder = folder_of(top, file.path, true);
  if (!folder) return false;
  const io::Fd fd{::openat(folder.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)};
  if (!fd) return false;
  for (std::size_t done = 0; done < file.content.size();) {
    const auto wrote = ::write(fd.get(), file.content.data() + done, file.content.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    done += static_cast<std::size_t>(wrote);
  }
  if (file.uid != 0 || file.gid != 0) {
    if (::fchown(fd.get(), static_cast<uid_t>(file.uid), static_cast<gid_t>(file.gid)) != 0) return false;
  }
  if (::fchmod(fd.get(), static_cast<mode_t>(file.mode)) != 0 || ::fsync(fd.get()) != 0) return false;
  if (::linkat(fd.get(), "", folder.get(), name_of(file.path).c_str(), AT_EMPTY_PATH) != 0) return false;
  if (::fsync(folder.get()) == 0) return true;
  ::unlinkat(folder.get(), name_of(file.path).c_str(), 0);
  return false;
}

}  // namespace

io::Fd open_state_folder(const std::string& mountpoint, const Api::PathStat& engine_says) {
  if (mountpoint.empty() || mountpoint.front() != '/' || !engine_says.mtime) return {};
  io::Fd folder{::open(mountpoint.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
  struct stat status {};
  if (!folder || ::fstat(folder.get(), &status) != 0) return {};
  const auto second = std::chrono::floor<std::chrono::seconds>(engine_says.mtime->time_since_epoch()).count();
  // A file system that counts in seconds proves nothing.
  if (status.st_mtim.tv_nsec == 0 || status.st_mtim.tv_sec != second || status.st_mtim.tv_nsec != engine_says.mtime_nanoseconds) return {};
  return folder;
}

std::optional<std::string> read_state_file(const io::Fd& folder, const std::string& path, std::uint64_t most_bytes) {
  const auto file = open_path(folder, path);
  if (!file || kind_of(file, path) != S_IFREG) return std::nullopt;
  return content_of(file, path, most_bytes);
}

std::vector<target::StateStore::File> read_state_files(const io::Fd& folder, const std::string& path, std::uint64_t most_bytes) {
  Reader reader{{}, most_bytes};
  auto top = open_path(folder, path);
  if (top && kind_of(top, path) == S_IFDIR) reader.folder(std::move(top), path);
  return std::move(reader.files);
}

bool add_state_files(const io::Fd& folder, const std::vector<target::StateStore::File>& files) {
  for (auto file = files.begin(); file != files.end(); ++file) {
    if (add(folder, *file)) continue;
    take_back_state_files(folder, {files.begin(), file});
    return false;
  }
  return true;
}

void take_back_state_files(const io::Fd& folder, const std::vector<target::StateStore::File>& files) {
  for (const auto& file : files) {
    if (const auto at = folder_of(folder, file.path, false)) ::unlinkat(at.get(), name_of(file.path).c_str(), 0);
  }
}

}  // namespace codops::engine::docker
