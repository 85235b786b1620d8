#include "lib/io/files.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "lib/base/retry.hpp"
#include "lib/io/crypto.hpp"

namespace codops::io {
namespace {

[[noreturn]] void refuse(std::string_view what, const std::filesystem::path& path, int reason = errno) {
  throw Failure{Exit::failed, fmt::format("cannot {} \"{}\": {}", what, path.string(), std::strerror(reason))};
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
}

std::string read_all(const Fd& fd, const std::filesystem::path& path, std::size_t size_cap) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) refuse("read", path);
  if (S_ISDIR(status.st_mode)) refuse("read", path, EISDIR);
  std::string content;
  content.reserve(std::min(size_cap, static_cast<std::size_t>(std::max<off_t>(status.st_size, 0))));
  std::array<char, 65536> buffer{};
  for (;;) {
    const auto got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      refuse("read", path);
    }
    if (got == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(got));
    if (content.size() > size_cap) {
      throw Failure{Exit::failed, fmt::format("\"{}\" is larger than {} bytes", path.string(), size_cap)};
    }
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::size_t size_cap) {
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) refuse("read", path);
  return read_all(fd, path, size_cap);
}

std::optional<std::string> read_file_if_there(const std::filesystem::path& path, std::size_t size_cap) {
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!fd) refuse("read", path);
  return read_all(fd, path, size_cap);
}

AtomicFile::AtomicFile(std::filesystem::path path, unsigned mode) : path_{std::move(path)} {
  temporary_ = folder_of(path_) / fmt::format(".{}.{}.tmp", path_.filename().string(), to_hex(random_bytes(6)));
  fd_.reset(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd_) {
    const int reason = errno;
    temporary_.clear();
    refuse("write", path_, reason);
  }
  if (::fchmod(fd_.get(), mode) != 0) {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    refuse("write", path_, reason);
  }
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_{std::move(other.path_)},
      temporary_{std::exchange(other.temporary_, {})},
      fd_{std::move(other.fd_)},
      size_{other.size_} {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  write_all(fd_.get(), bytes, fmt::format("\"{}\"", path_.string()));
  size_ += bytes.size();
}

void AtomicFile::give_to(unsigned uid, unsigned gid) {
  struct stat status {};
  // chown takes the set-id bits away, and only those.
  if (::fstat(fd_.get(), &status) != 0 || ::fchown(fd_.get(), uid, gid) != 0 || ::fchmod(fd_.get(), status.st_mode & 07777U) != 0) {
    refuse("write", path_);
  }
}

void AtomicFile::commit(Existing existing) {
  if (!put_in_place(existing)) refuse("write", path_, EEXIST);
}

bool AtomicFile::commit_new() { return put_in_place(Existing::refuse); }

bool AtomicFile::put_in_place(Existing existing) {
  if (::fsync(fd_.get()) != 0) refuse("write", path_);
  const unsigned flags = existing == Existing::refuse ? RENAME_NOREPLACE : 0U;
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), flags) != 0) {
    // File systems without RENAME_NOREPLACE (NFS) still have link(2), which refuses a taken name.
    const bool linked = flags != 0U && errno == EINVAL && ::link(temporary_.c_str(), path_.c_str()) == 0;
    if (!linked && flags != 0U && errno == EEXIST) return false;
    if (!linked) refuse("write", path_);
    ::unlink(temporary_.c_str());
  }
  temporary_.clear();
  fd_.reset();
  sync_folder(folder_of(path_));
  return true;
}

void remove_unfinished(const std::filesystem::path& folder, std::string_view name) {
  constexpr std::string_view ending = ".tmp";
  constexpr std::size_t random_length = 12;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator{folder, error}; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
    const auto found = entry->path().filename().string();
    const auto tail = random_length + ending.size() + 1;
    if (!found.starts_with('.') || !found.ends_with(ending) || found.size() <= tail + 1) continue;
    const auto random = std::string_view{found}.substr(found.size() - tail + 1, random_length);
    if (found[found.size() - tail] != '.' || random.find_first_not_of("0123456789abcdef") != std::string_view::npos) continue;
    if (!name.empty() && found.substr(1, found.size() - tail - 1) != name) continue;
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && !entry->is_symlink(ignored)) std::filesystem::remove(entry->path(), ignored);
  }
}

void write_file(const std::filesystem::path& path, std::string_view content, unsigned mode) {
  AtomicFile file{path, mode};
  file.write(content);
  file.commit();
}

void sync_folder(const std::filesystem::path& folder) {
  const Fd fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  // Some file systems can't sync a folder (EINVAL); there is nothing more to do there.
  if (!fd || (::fsync(fd.get()) != 0 && errno != EINVAL)) refuse("sync", folder);
}

void make_folders(const std::filesystem::path& folder) {
  if (folder.empty() || std::filesystem::is_directory(folder)) return;
  make_folders(folder.parent_path());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) refuse("create", folder);
}

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent) {
  std::filesystem::path base = parent;
  if (base.empty()) {
    const char* configured = std::getenv("TMPDIR");
    base = configured != nullptr && *configured == '/' ? configured : "/tmp";
  }
  std::string pattern = (base / "codops-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) refuse("create", base);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::optional<FileLock> FileLock::try_take(const std::filesystem::path& path) {
  Fd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!fd) refuse("lock", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return FileLock{std::move(fd)};
  if (errno == EWOULDBLOCK || errno == EINTR) return std::nullopt;
  refuse("lock", path);
}

FileLock FileLock::take(const std::filesystem::path& path, const Limits& limits) {
  Backoff backoff{Milliseconds{20}, Milliseconds{500}};
  for (;;) {
    if (auto lock = try_take(path)) return std::move(*lock);
    if (!backoff.wait(limits)) {
      throw Failure{Exit::locked, fmt::format("\"{}\" is locked by another run", path.string())};
    }
  }
}

}  // namespace codops::io
