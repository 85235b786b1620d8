#include "lib/backup/folder_walk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/fd.hpp"

namespace codops::backup {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void unreadable(const fs::path& path) {
  throw Failure{Exit::failed, fmt::format("cannot read \"{}\": {}", path.string(), std::strerror(errno))};
}

std::vector<std::string> names_in(const fs::path& folder, bool top) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator{folder}) {
    auto name = entry.path().filename().string();
    if (!top || !is_laid_aside(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// SELinux gives each file a label by where it is.
bool has_attributes(const fs::path& path) {
  std::array<char, 4096> names;
  const auto size = ::llistxattr(path.c_str(), names.data(), names.size());
  if (size < 0) return errno == ERANGE;
  for (std::string_view left{names.data(), static_cast<std::size_t>(size)}; !left.empty();) {
    const auto end = std::min(left.find('\0'), left.size());
    if (left.substr(0, end) != "security.selinux") return true;
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  return false;
}

// Where it has bytes; nullopt: everywhere. Holes that are small are not worth a line of the map, nor is a map without end.
std::optional<std::vector<io::TarExtent>> extents_of(int fd, const struct stat& status) {
  constexpr off_t least_hole = 64 << 10U;
  constexpr std::size_t most = 10'000;
  constexpr off_t block = 512;  // that of st_blocks
  if (status.st_blocks * block >= status.st_size) return std::nullopt;
  std::vector<io::TarExtent> extents;
  off_t at = 0, covered = 0;
  while (at < status.st_size && extents.size() < most) {
    const auto begin = ::lseek(fd, at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;  // the rest is a hole
    const auto end = begin < 0 ? begin : ::lseek(fd, begin, SEEK_HOLE);
    if (end < 0) return std::nullopt;  // a file system without the notion
    at = std::min(end, status.st_size);
    if (begin >= at) break;
    if (!extents.empty() && begin - covered < least_hole) {
      extents.back().size = static_cast<std::uint64_t>(at) - extents.back().offset;
    } else {
      extents.push_back({static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(at - begin)});
    }
    covered = at;
  }
  if (at < status.st_size && extents.size() == most) extents.back().size = static_cast<std::uint64_t>(status.st_size) - extents.back().offset;
  return extents;
}

}  // namespace

void FileCounts::add(const io::TarEntry& entry) {
  if (entry.kind == io::TarEntry::Kind::directory) ++folders; else ++files;
  if (entry.kind == io::TarEntry::Kind::file) bytes += entry.size;
}

void FileCounts::into(Part& part) const { part.counts = {{"files", files}, {"folders", folders}, {"bytes", bytes}}; }

FolderWalk::FolderWalk(fs::path root, FilesTaken& taken) : root_{std::move(root)}, taken_{taken} {
  struct stat status {};
  if (::stat(root_.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    if (errno == 0) errno = ENOTDIR;
    unreadable(root_);
  }
  levels_.push_back({{}, names_in(root_, true)});
}

bool FolderWalk::next(io::TarEntry& entry, io::ByteSource& content) {
  while (!levels_.empty()) {
    auto& level = levels_.back();
    if (level.at == level.names.size()) {
      levels_.pop_back();
      continue;
    }
    const auto inner = level.path / level.names[level.at++];
    if (describe(inner, entry, content)) return true;
  }
  return false;
}

bool FolderWalk::describe(const fs::path& inner, io::TarEntry& entry, io::ByteSource& content) {
  const auto path = root_ / inner;
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return vanished(path);
  entry = {};
  entry.path = inner.string();
  if (S_ISDIR(status.st_mode)) {
    entry.kind = io::TarEntry::Kind::directory;
    try {
      levels_.push_back({inner, names_in(path, false)});
    } catch (const fs::filesystem_error& error) {
      if (error.code() == std::errc::no_such_file_or_directory) return vanished(path);
      throw Failure{Exit::failed, fmt::format("cannot read \"{}\": {}", path.string(), error.code().message())};
    }
  } else if (S_ISLNK(status.st_mode)) {
    entry.kind = io::TarEntry::Kind::symlink;
    std::error_code failed;
    entry.link_target = fs::read_symlink(path, failed).string();
    if (failed) return vanished(path);
  } else if (const auto first = linked_.find({status.st_dev, status.st_ino}); S_ISREG(status.st_mode) && first != linked_.end()) {
    entry.kind = io::TarEntry::Kind::hardlink;
    entry.link_target = first->second;
  } else if (S_ISREG(status.st_mode)) {
    if (!open(path, status, entry.extents, content)) return vanished(path);
    entry.size = static_cast<std::uint64_t>(status.st_size);
    if (status.st_nlink > 1) linked_.try_emplace({status.st_dev, status.st_ino}, entry.path);
  } else {
    ++taken_.left_out;
    return false;
  }
  if (!S_ISLNK(status.st_mode) && has_attributes(path)) ++taken_.less_attributes;
  entry.mode = status.st_mode & 07777U;
  entry.mtime = status.st_mtim.tv_sec;
  entry.mtime_ns = static_cast<std::uint32_t>(status.st_mtim.tv_nsec);
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  counts.add(entry);
  return true;
}

bool FolderWalk::vanished(const fs::path& path) {
  if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) unreadable(path);
  ++taken_.changed;
  return false;
}

bool FolderWalk::open(const fs::path& path, struct stat& status, std::optional<std::vector<io::TarExtent>>& extents, io::ByteSource& content) {
  auto fd = std::make_shared<io::Fd>(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!*fd || ::fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  extents = extents_of(fd->get(), status);
  auto left = extents.value_or(std::vector<io::TarExtent>{{0, static_cast<std::uint64_t>(status.st_size)}});
  content = [this, fd, path, left = std::move(left), next = std::size_t{}, short_already = false](char* into, std::size_t size) mutable -> std::size_t {
    while (next < left.size() && left[next].size == 0) ++next;
    if (next == left.size()) return 0;
    auto& extent = left[next];
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, extent.size));
    ssize_t got = 0;
    do {
      got = short_already ? 0 : ::pread(fd->get(), into, size, static_cast<off_t>(extent.offset));
    } while (got < 0 && errno == EINTR);
    if (got < 0) unreadable(path);
    const auto taken = got > 0 ? static_cast<std::size_t>(got) : size;
    extent.offset += taken;
    extent.size -= taken;
    if (got > 0) return taken;
    if (!short_already) ++taken_.changed;
    short_already = true;
    std::memset(into, 0, size);
    return size;
  };
  return true;
}

}  // namespace codops::backup
