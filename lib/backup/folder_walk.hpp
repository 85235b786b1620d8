#pragma once
// A folder's entries for a tar. Only for sources of lib/backup.
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/backup/files_part.hpp"
#include "lib/io/tar.hpp"

struct stat;

namespace codops::backup {

struct FileCounts {
  std::uint64_t files{}, folders{}, bytes{};

  void add(const io::TarEntry& entry);
  void into(Part& part) const;
};

// Entry by entry, folders before what is in them; memory holds the names of the folders on the way down, and of files that have several.
class FolderWalk {
 public:
  // Failure{failed}: it is no folder, or can't be read.
  FolderWalk(std::filesystem::path root, FilesTaken& taken);

  // False: that was all. `content` is good until the next call.
  bool next(io::TarEntry& entry, io::ByteSource& content);
  FileCounts counts;

 private:
  struct Level {
    std::filesystem::path path;
    std::vector<std::string> names;
    std::size_t at{};
  };

  bool describe(const std::filesystem::path& inner, io::TarEntry& entry, io::ByteSource& content);
  bool vanished(const std::filesystem::path& path);
  // Its size is what it has once it is open; should it become shorter, zeros stand for the rest, as tar does.
  bool open(const std::filesystem::path& path, struct ::stat& status, std::optional<std::vector<io::TarExtent>>& extents, io::ByteSource& content);

  std::filesystem::path root_;
  FilesTaken& taken_;
  std::vector<Level> levels_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files with more than one name: the first of them
};

}  // namespace codops::backup
