#pragma once
// Files as an operations tool needs them: bounded reads, atomic and durable writes, private temporary folders, locks.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/cancel.hpp"
#include "lib/io/fd.hpp"

namespace codops::io {

inline constexpr std::size_t default_size_cap = 16U << 20U;

// The whole file. Throws Failure{failed} with the system's reason, also when it is larger than the cap.
std::string read_file(const std::filesystem::path& path, std::size_t size_cap = default_size_cap);
// nullopt when there is no such file.
std::optional<std::string> read_file_if_there(const std::filesystem::path& path,
                                              std::size_t size_cap = default_size_cap);

// A file that appears whole or not at all: written to a temporary one in the same folder (O_EXCL, O_NOFOLLOW, named
// ".NAME.RANDOM.tmp"), which disappears again unless it was committed.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path, unsigned mode = 0600);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  void write(std::string_view bytes);
  std::uint64_t size() const noexcept { return size_; }
  // Of a file that root writes for somebody else. Before commit(); keeps the mode.
  void give_to(unsigned uid, unsigned gid);
  enum class Existing { replace, refuse };
  // fsync of the file, rename, fsync of the folder. With `refuse`, Failure{failed} when the name is taken.
  void commit(Existing existing = Existing::replace);
  // The same; false when the name is taken, which is not to be mixed up with what fails.
  bool commit_new();

 private:
  bool put_in_place(Existing existing);
  std::filesystem::path path_, temporary_;
  Fd fd_;
  std::uint64_t size_{};
};

// Removes the temporary files of writers that were killed: of the file NAME in that folder; of every file when NAME is empty. Only
// while nobody else can be writing there.
void remove_unfinished(const std::filesystem::path& folder, std::string_view name = {});

void write_file(const std::filesystem::path& path, std::string_view content, unsigned mode = 0600);
void sync_folder(const std::filesystem::path& folder);
// Creates what is missing, mode 0700 each.
void make_folders(const std::filesystem::path& folder);

// A folder of our own, mode 0700, removed with all that is in it. In TMPDIR, or below `parent`.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::filesystem::path& parent = {});
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_{std::exchange(other.path_, {})} {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

// flock(2) on a file that stays: the kernel drops it with its holder, so it is never stale.
class FileLock {
 public:
  // nullopt: somebody else holds it.
  static std::optional<FileLock> try_take(const std::filesystem::path& path);
  // Waits; Failure{locked} at the deadline.
  static FileLock take(const std::filesystem::path& path, const Limits& limits);

 private:
  explicit FileLock(Fd fd) : fd_{std::move(fd)} {}
  Fd fd_;
};

}  // namespace codops::io
