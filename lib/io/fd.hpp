#pragma once
// A file descriptor with one owner.
#include <string_view>
#include <utility>

namespace codops::io {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_{fd} {}
  Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

 private:
  int fd_{-1};
};

struct Pipe {
  Fd read, write;
};
// Both ends are close-on-exec.
Pipe make_pipe();

// An unnamed file in memory, mode 0600, close-on-exec, positioned at its start: how a child gets a password without
// disk, argv or environment (pass it with Program::pass and name it /proc/self/fd/N).
Fd memory_file(std::string_view content);

// Writes all of it to a blocking descriptor; throws Failure with the system's reason.
void write_all(int fd, std::string_view bytes, std::string_view what);

}  // namespace codops::io
