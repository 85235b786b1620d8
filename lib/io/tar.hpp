#pragma once
// Tar archives in passing: small ones made in memory, any read entry by entry. pax format; nothing is written to disk.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/bytes.hpp"

namespace codops::io {

// Bytes of a file that are there; between them are holes.
struct TarExtent {
  std::uint64_t offset{}, size{};
  bool operator==(const TarExtent&) const = default;
};

struct TarEntry {
  enum class Kind { file, directory, symlink, hardlink, other };
  std::string path;
  std::string content;       // read_tar fills it for files
  unsigned mode{0644};       // permission bits
  Kind kind{Kind::file};
  std::string link_target;   // of a symlink; of a hardlink the path of the entry before it
  std::int64_t mtime{0};     // seconds since 1970
  std::uint32_t uid{0}, gid{0};
  std::uint64_t size{0};     // of a file that was read; writing takes the content's
  std::uint32_t mtime_ns{0}; // of the second
  std::optional<std::vector<TarExtent>> extents{};  // writing: of a file with holes, in order; none at all: it is one hole
};

std::string write_tar(const std::vector<TarEntry>& entries);

// Reads an archive (any tar flavour, uncompressed or gzip) while it streams by.
class TarReader {
 public:
  explicit TarReader(ByteSource source);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  // The next entry without its content; nullopt at the end. Throws Failure{data} on a damaged or short archive.
  std::optional<TarEntry> next();
  // Of the current entry's content; 0 at its end.
  std::size_t read(char* into, std::size_t size);
  // The same without the holes; nullopt at its end. It holds until the next call.
  struct Block {
    std::string_view bytes;
    std::uint64_t offset{};
  };
  std::optional<Block> next_block();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The whole archive with contents. Throws Failure{data} when they exceed `most_bytes`.
std::vector<TarEntry> read_tar(ByteSource source, std::uint64_t most_bytes);
ByteSource bytes_of(std::string_view text);  // `text` must outlive the source

// A tar stream made while it is read, from entries given one after the other: build contexts.
// `next` fills the entry and, for a file, a source of exactly entry.size bytes, or of those of its extents one after the other;
// false: no more.
using TarProducer = std::function<bool(TarEntry& entry, ByteSource& content)>;
ByteSource tar_stream(TarProducer next);

struct Unpacked {
  std::uint64_t files{}, folders{}, bytes{};  // links count as files
};
// Into an existing folder, below `strip` leading parts of each path. Refused, with Failure{data}: a path or link that leads
// out of the folder, a name that is there already as something else, devices. Owners only as root; no setuid bits.
Unpacked unpack_tar(TarReader& reader, const std::filesystem::path& folder, std::size_t strip, const std::function<void(std::uint64_t)>& progress);
// A path without its first `strip` parts, without "./" and a trailing '/'; empty: nothing is left. Failure{data} for "..", or
// one that is absolute.
std::string inner_path(std::string_view path, std::size_t strip);

}  // namespace codops::io
