// A tar archive onto the disk. libarchive's disk writer does the writing; what may be written is decided here, because its
// own guards are off by default and none of them looks at where a hard link leads.
#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/failure.hpp"
#include "lib/io/tar_special.hpp"

namespace codops::io {
namespace fs = std::filesystem;
namespace {

struct DiskFree {
  void operator()(archive* handle) const { ::archive_write_free(handle); }
};
struct HeaderFree {
  void operator()(archive_entry* entry) const { ::archive_entry_free(entry); }
};

class Unpacking {
 public:
  Unpacking(const fs::path& folder, bool special) : folder_{fs::canonical(folder)}, special_{special}, disk_{::archive_write_disk_new()} {
    // Not NOABSOLUTEPATHS: the paths that are given to it are, below a folder without links in its own path.
    int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                ARCHIVE_EXTRACT_NO_OVERWRITE;
    if (::geteuid() == 0) flags |= ARCHIVE_EXTRACT_OWNER;
    ::archive_write_disk_set_options(disk_.get(), flags);
  }

  void write(TarReader& reader, const TarEntry& entry, const std::string& path, std::size_t strip) {
    const std::unique_ptr<archive_entry, HeaderFree> header{::archive_entry_new()};
    ::archive_entry_set_pathname(header.get(), (folder_ / path).c_str());
    ::archive_entry_set_perm(header.get(), entry.mode & (special_ ? 07777U : 01777U));
    ::archive_entry_set_uid(header.get(), entry.uid);
    ::archive_entry_set_gid(header.get(), entry.gid);
    ::archive_entry_set_mtime(header.get(), entry.mtime, static_cast<long>(entry.mtime_ns));
    switch (entry.kind) {
      case TarEntry::Kind::directory: ::archive_entry_set_filetype(header.get(), AE_IFDIR); break;
      case TarEntry::Kind::symlink:
        ::archive_entry_set_filetype(header.get(), AE_IFLNK);
        ::archive_entry_set_symlink(header.get(), entry.link_target.c_str());
        break;
      case TarEntry::Kind::hardlink: {
        const auto target = inner_path(entry.link_target, strip);
        // Of something that this archive itself brought: libarchive would follow a link to anywhere.
        if (target.empty() || !brought_.contains(target)) throw Failure{Exit::data, fmt::format("\"{}\" is a link to what is not in the archive", path)};
        ::archive_entry_set_filetype(header.get(), AE_IFREG);
        ::archive_entry_set_hardlink(header.get(), (folder_ / target).c_str());
        break;
      }
      case TarEntry::Kind::file:
        ::archive_entry_set_filetype(header.get(), AE_IFREG);
        ::archive_entry_set_size(header.get(), static_cast<la_int64_t>(entry.size));
        break;
      case TarEntry::Kind::other: throw Failure{Exit::data, fmt::format("\"{}\" is a device or the like", path)};
    }
    must(::archive_write_header(disk_.get(), header.get()), path);
    if (entry.kind == TarEntry::Kind::file) content(reader, path);
    must(::archive_write_finish_entry(disk_.get()), path);
    // Only names that may be linked to are kept: those of files with more than one link are few, but which they are is not
    // known before the link comes.
    if (entry.kind == TarEntry::Kind::file || entry.kind == TarEntry::Kind::hardlink) brought_.insert(path);
  }
  Unpacked all(TarReader& reader, std::size_t strip) {
    Unpacked unpacked;
    while (const auto entry = reader.next()) {
      const auto path = inner_path(entry->path, strip);
      if (path.empty()) continue;  // the folder itself
      write(reader, *entry, path, strip);
      const bool file = entry->kind == TarEntry::Kind::file, directory = entry->kind == TarEntry::Kind::directory;
      if (directory) ++unpacked.folders; else ++unpacked.files;
      if (file) unpacked.bytes += entry->size;
      if ((file || directory) && (entry->mode & 06000U) != 0) ++special_seen_;
    }
    must(::archive_write_close(disk_.get()), folder_.string());
    return unpacked;
  }
  std::uint64_t special_seen() const { return special_seen_; }
  std::function<void(std::uint64_t)> progress;

 private:
  void content(TarReader& reader, const std::string& path) {
    // Block by block with its place, so that holes stay holes.
    while (const auto block = reader.next_block()) {
      if (block->bytes.empty()) continue;
      if (::archive_write_data_block(disk_.get(), block->bytes.data(), block->bytes.size(), static_cast<la_int64_t>(block->offset)) < 0) must(ARCHIVE_FATAL, path);
      if (progress) progress(block->bytes.size());
    }
  }
  void must(int result, const std::string& path) {
    if (result >= ARCHIVE_OK) return;
    const char* why = ::archive_error_string(disk_.get());
    throw Failure{Exit::failed, fmt::format("cannot write \"{}\": {}", path, why != nullptr ? why : "unknown")};
  }

  fs::path folder_;
  bool special_;
  std::uint64_t special_seen_{};
  std::unique_ptr<archive, DiskFree> disk_;
  std::set<std::string> brought_;
};

}  // namespace

std::string inner_path(std::string_view path, std::size_t strip) {
  if (path.starts_with('/')) throw Failure{Exit::data, fmt::format("the archive has the absolute path \"{}\"", path)};
  std::string inner;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const auto part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part == "..") throw Failure{Exit::data, "the archive has a path that leads out of it"};
    if (part.empty() || part == ".") continue;
    if (strip > 0) {
      --strip;
      continue;
    }
    if (!inner.empty()) inner += '/';
    inner += part;
  }
  return inner;
}

Unpacked unpack_tar(TarReader& reader, const fs::path& folder, std::size_t strip, const std::function<void(std::uint64_t)>& progress) {
  Unpacking unpacking{folder, false};
  unpacking.progress = progress;
  return unpacking.all(reader, strip);
}

UnpackedOwn unpack_own_tar(TarReader& reader, const fs::path& folder, std::size_t strip) {
  const bool root = ::geteuid() == 0;
  Unpacking unpacking{folder, root};
  UnpackedOwn own;
  own.unpacked = unpacking.all(reader, strip);
  if (!root) own.less_special = unpacking.special_seen();
  return own;
}

}  // namespace codops::io
