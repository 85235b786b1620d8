#include "lib/ops/raw_terminal.hpp"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace codops::ops {

RawTerminal::RawTerminal() : before_{std::make_unique<termios>()} {
  if (::tcgetattr(STDIN_FILENO, before_.get()) != 0) {
    before_.reset();
    return;
  }
  auto raw = *before_;
  ::cfmakeraw(&raw);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

RawTerminal::~RawTerminal() {
  if (before_) ::tcsetattr(STDIN_FILENO, TCSANOW, before_.get());
}

TerminalSize terminal_size() {
  winsize size{};
  ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
  return {size.ws_row, size.ws_col};
}

}  // namespace codops::ops
