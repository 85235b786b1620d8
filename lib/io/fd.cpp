#include "lib/io/fd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/failure.hpp"

namespace codops::io {

void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw Failure{Exit::failed, fmt::format("no pipe: {}", std::strerror(errno))};
  }
  return {Fd{ends[0]}, Fd{ends[1]}};
}

Fd memory_file(std::string_view content) {
  Fd fd{::memfd_create("codops", MFD_CLOEXEC)};
  if (!fd || ::fchmod(fd.get(), 0600) != 0) {
    throw Failure{Exit::failed, fmt::format("no file in memory: {}", std::strerror(errno))};
  }
  write_all(fd.get(), content, "a file in memory");
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

void write_all(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw Failure{Exit::failed, fmt::format("cannot write {}: {}", what, std::strerror(errno))};
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace codops::io
