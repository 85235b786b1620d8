#include "cli/terminal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/failure.hpp"

namespace codops::cli {

using commands::Color;

bool Stream::write(std::string_view text) {
  while (!text.empty() && !closed_) {
    const auto written = ::write(fd_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      // A caller may have made the terminal non-blocking.
      pollfd ready{fd_, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno == EPIPE || errno == EBADF) {
      closed_ = true;
    } else if (errno != EINTR && unwritable_ == Unwritable::is_dropped) {
      return true;
    } else if (errno != EINTR) {
      throw Failure{Exit::unknown, fmt::format("can't write to standard {}: {}", fd_ == 2 ? "error" : "output",
                                               std::strerror(errno))};
    }
  }
  return !closed_;
}

void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    // The wrong direction on purpose: whoever uses the stream gets EBADF instead of silence.
    const int opened = ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    if (opened >= 0 && opened != fd) ::close(opened);
  }
}

std::size_t terminal_width(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

bool may_color(int fd, Color color, const Variables& variables) {
  if (color != Color::automatic) return color == Color::always;
  return ::isatty(fd) == 1 && !variables.no_color && !variables.dumb;
}

commands::Terminal describe_terminal(const commands::GlobalOptions& options, const Variables& variables) {
  commands::Terminal terminal;
  terminal.in = ::isatty(0) == 1;
  terminal.out = ::isatty(1) == 1;
  terminal.err = ::isatty(2) == 1;
  terminal.width = terminal.out ? std::min<std::size_t>(100, terminal_width(1)) : 100;
  terminal.color = options.output == commands::Output::text && may_color(1, options.color, variables);
  return terminal;
}

}  // namespace codops::cli
