// Taking and laying out. What changes places afterwards is in files_swap.cpp.
#include "lib/backup/files_part.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/channel.hpp"
#include "lib/io/fd.hpp"
#include "lib/io/tar_special.hpp"

namespace codops::backup {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void unreadable(const fs::path& path) {
  throw Failure{Exit::failed, fmt::format("cannot read \"{}\": {}", path.string(), std::strerror(errno))};
}

struct Counts {
  std::uint64_t files{}, folders{}, bytes{};

  void add(const io::TarEntry& entry) {
    if (entry.kind == io::TarEntry::Kind::directory) ++folders; else ++files;
    if (entry.kind == io::TarEntry::Kind::file) bytes += entry.size;
  }
  void into(Part& part) const { part.counts = {{"files", files}, {"folders", folders}, {"bytes", bytes}}; }
};

// A folder, entry by entry, folders before what is in them; memory holds the names of the folders on the way down, and of
// files that have several.
class FolderWalk {
 public:
  FolderWalk(fs::path root, FilesTaken& taken) : root_{std::move(root)}, taken_{taken} {
    struct stat status {};
    if (::stat(root_.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
      if (errno == 0) errno = ENOTDIR;
      unreadable(root_);
    }
    levels_.push_back({{}, names_in(root_, true)});
  }

  bool next(io::TarEntry& entry, io::ByteSource& content) {
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
  Counts counts;

 private:
  struct Level {
    fs::path path;
    std::vector<std::string> names;
    std::size_t at{};
  };

  static std::vector<std::string> names_in(const fs::path& folder, bool top) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator{folder}) {
      auto name = entry.path().filename().string();
      if (!top || !is_laid_aside(name)) names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  bool describe(const fs::path& inner, io::TarEntry& entry, io::ByteSource& content) {
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

  // SELinux gives each file a label by where it is.
  static bool has_attributes(const fs::path& path) {
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

  bool vanished(const fs::path& path) {
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) unreadable(path);
    ++taken_.changed;
    return false;
  }

  // Where it has bytes; nullopt: everywhere. Holes that are small are not worth a line of the map, nor is a map without end.
  static std::optional<std::vector<io::TarExtent>> extents_of(int fd, const struct stat& status) {
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

  // Its size is what it has once it is open; should it become shorter, zeros stand for the rest, as tar does.
  bool open(const fs::path& path, struct stat& status, std::optional<std::vector<io::TarExtent>>& extents, io::ByteSource& content) {
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

  fs::path root_;
  FilesTaken& taken_;
  std::vector<Level> levels_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files with more than one name: the first of them
};

void take_folder(const FilesPlace& place, FilesTaken& taken, PartWriter& writer, Progress& progress, const Limits& limits) {
  FolderWalk walk{place.directory, taken};
  const auto tar = io::tar_stream([&](io::TarEntry& entry, io::ByteSource& content) { return walk.next(entry, content); });
  std::vector<char> buffer(256U << 10U);
  while (const auto got = tar(buffer.data(), buffer.size())) {
    limits.check("reading files");
    writer.write({buffer.data(), got});
    progress.advance(got);
  }
  walk.counts.into(writer.part());
}

Counts count_tar(io::Reader& reader) {
  Counts counts;
  io::TarReader tar{[&](char* into, std::size_t size) { return reader.read(into, size); }};
  std::vector<char> buffer(256U << 10U);
  while (const auto entry = tar.next()) {
    counts.add(*entry);
    while (tar.next_block()) {
    }
  }
  // libarchive stops at the archive's end; what comes behind belongs to the stream all the same.
  while (reader.read(buffer.data(), buffer.size()) > 0) {
  }
  return counts;
}

// The engine's tar has names inside the volume's own folder, and hard links.
constexpr std::size_t volume_strip = 1;

// The same without what restores laid beside the live files, and without devices.
io::ByteSource only_live(std::shared_ptr<io::TarReader> tar, Counts& counts, FilesTaken& taken) {
  return io::tar_stream([tar, &counts, &taken](io::TarEntry& entry, io::ByteSource& content) {
    for (;;) {
      auto next = tar->next();
      if (!next) return false;
      const auto inner = io::inner_path(next->path, volume_strip);
      if (is_laid_aside(std::string_view{inner}.substr(0, inner.find('/')))) continue;
      if (next->kind == io::TarEntry::Kind::other) {
        ++taken.left_out;
        continue;
      }
      counts.add(*next);
      entry = std::move(*next);
      content = [tar](char* into, std::size_t size) { return tar->read(into, size); };
      return true;
    }
  });
}

void take_volume(const FilesPlace& place, FilesTaken& taken, PartWriter& writer, Progress& progress, const Limits& limits) {
  Counts counts;
  place.with_container(false,
                       [&](const std::string& container, const std::string& path) {
                         io::stream_between(
                             [&](io::Writer& passing) {
                               place.containers->read_archive(container, path,
                                                              [&](std::string_view bytes) {
                                                                passing.write(bytes);
                                                                progress.advance(bytes.size());
                                                              },
                                                              limits);
                             },
                             [&](io::Reader& passing) {
                               const auto tar = std::make_shared<io::TarReader>([&](char* into, std::size_t size) { return passing.read(into, size); });
                               const auto live = only_live(tar, counts, taken);
                               std::vector<char> buffer(256U << 10U);
                               while (const auto got = live(buffer.data(), buffer.size())) writer.write({buffer.data(), got});
                               // libarchive stops at the archive's end; what comes behind belongs to the stream all the same.
                               while (passing.read(buffer.data(), buffer.size()) > 0) {
                               }
                             });
                       },
                       limits);
  counts.into(writer.part());
  writer.part().about["strip"] = std::to_string(volume_strip);
}

std::size_t strip_of(const Part& part) {
  const auto found = part.about.find("strip");
  return found == part.about.end() ? 0 : static_cast<std::size_t>(std::atoi(found->second.c_str()));
}

// The same archive with every path below `folder`.
io::ByteSource moved_below(std::shared_ptr<io::TarReader> tar, std::string folder, std::size_t strip) {
  return io::tar_stream([tar, folder = std::move(folder), strip, first = true](io::TarEntry& entry, io::ByteSource& content) mutable {
    if (std::exchange(first, false)) {
      entry.path = folder;
      entry.kind = io::TarEntry::Kind::directory;
      entry.mode = 0755;
      return true;
    }
    for (;;) {
      auto next = tar->next();
      if (!next) return false;
      const auto inner = io::inner_path(next->path, strip);
      if (inner.empty() || is_laid_aside(std::string_view{inner}.substr(0, inner.find('/')))) continue;
      if (next->kind == io::TarEntry::Kind::other) throw Failure{Exit::data, fmt::format("\"{}\" is a device or the like", inner)};
      if (next->kind == io::TarEntry::Kind::hardlink) next->link_target = folder + "/" + io::inner_path(next->link_target, strip);
      next->path = folder + "/" + inner;
      entry = std::move(*next);
      content = [tar](char* into, std::size_t size) { return tar->read(into, size); };
      return true;
    }
  });
}

void with_entries(const FilesPlace& place, const std::function<void(Entries&)>& act, const Limits& limits) {
  if (!place.directory.empty()) {
    const auto entries = local_entries(place.directory);
    act(*entries);
    return;
  }
  place.with_container(true,
                       [&](const std::string& container, const std::string& path) {
                         const auto entries = container_entries(*place.containers, container, path);
                         act(*entries);
                       },
                       limits);
}

}  // namespace

FilesTaken take_files(const FilesPlace& place, std::size_t number, const Destination& destination, int level, Progress& progress,
                      const Limits& limits) {
  progress.at(place.name);
  FilesTaken taken;
  Part part;
  part.name = fmt::format("files-{:02}.tar", number);
  part.kind = "files";
  part.subject = place.name;
  PartWriter writer{destination.store, destination.folder, std::move(part), {level, 0, true}, destination.keys, limits};
  if (place.directory.empty()) take_volume(place, taken, writer, progress, limits);
  else take_folder(place, taken, writer, progress, limits);
  writer.finish();
  taken.part = writer.commit();
  return taken;
}

void check_files(io::Reader& reader, const Part& part) {
  Part found;
  count_tar(reader).into(found);
  if (found.counts != part.counts) throw Failure{Exit::data, "other files than the manifest says"};
}

FilesRestore::FilesRestore(FilesPlace place, const Part& part, std::string stamp)
    : place_{std::move(place)}, part_{part}, stamp_{std::move(stamp)} {}

FilesRestore::~FilesRestore() {
  if (!laid_ || swapped_) return;
  try {
    const auto limits = Limits{}.within(Milliseconds{20'000});
    with_entries(place_, [&](Entries& entries) { entries.remove(".codops-new-" + stamp_, limits); }, limits);
  } catch (const std::exception&) {
    // mend_swap() of the next restore removes it.
  }
}

void FilesRestore::load(io::Reader& tar, Progress& progress, const Limits& limits) {
  progress.at(place_.name);
  const auto fresh = ".codops-new-" + stamp_;
  const auto strip = strip_of(part_);
  with_entries(place_, [&](Entries& entries) { mend_swap(entries, limits); }, limits);
  laid_ = true;
  const auto from = [&](char* into, std::size_t size) {
    limits.check("restoring files");
    const auto got = tar.read(into, size);
    progress.advance(got);
    return got;
  };
  if (!place_.directory.empty()) {
    fs::create_directories(place_.directory / fresh);
    io::TarReader reader{from};
    const auto [unpacked, less_special] = io::unpack_own_tar(reader, place_.directory / fresh, strip);
    less_special_ = less_special;
    const auto expected = part_.counts.find("bytes");
    if (expected != part_.counts.end() && expected->second != unpacked.bytes) {
      throw Failure{Exit::data, fmt::format("\"{}\" has {} bytes of files instead of {}", part_.name, unpacked.bytes, expected->second)};
    }
  } else {
    const auto reader = std::make_shared<io::TarReader>(from);
    place_.with_container(true,
                          [&](const std::string& container, const std::string& path) {
                            place_.containers->write_archive(container, path, moved_below(reader, fresh, strip), limits);
                          },
                          limits);
  }
  // The rest of the stream: only at its end is it known to be whole.
  std::array<char, 4096> rest;
  while (tar.read(rest.data(), rest.size()) > 0) {
  }
}

void FilesRestore::swap(const Limits& limits) {
  with_entries(place_, [&](Entries& entries) { swap_entries(entries, stamp_, limits); }, limits);
  swapped_ = true;
}

void FilesRestore::swap_back(const Limits& limits) {
  if (!swapped_) return;
  with_entries(place_, [&](Entries& entries) { swap_entries_back(entries, stamp_, limits); }, limits);
  swapped_ = false;
}

std::string FilesRestore::kept() const { return fmt::format("{}: .codops-before-{}", place_.name, stamp_); }

std::string FilesRestore::note() const {
  if (less_special_ == 0) return {};
  return fmt::format("{}: {} files or folders have lost their setuid or setgid bit, which only root can give back", place_.name, less_special_);
}

std::vector<std::string> mend_files(const FilesPlace& place, const Limits& limits) {
  if (place.directory.empty()) return {};
  const auto entries = local_entries(place.directory);
  if (!needs_mending(*entries, limits)) return {};
  mend_swap(*entries, limits);
  return {fmt::format("{} is as it was before a restore that died: what it had laid beside is gone", place.name)};
}

std::string files_put_aside(const FilesPlace& place, const Limits& limits) {
  std::string stamp;
  with_entries(place, [&](Entries& entries) { stamp = entries_put_aside(entries, limits); }, limits);
  return stamp;
}

void undo_files(const FilesPlace& place, const std::string& stamp, const Limits& limits) {
  with_entries(place, [&](Entries& entries) { undo_entries(entries, stamp, limits); }, limits);
}

}  // namespace codops::backup
