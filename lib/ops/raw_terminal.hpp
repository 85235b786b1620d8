#pragma once
// The caller's terminal, raw for as long as a remote command has it.
#include <memory>

struct termios;

namespace codops::ops {

class RawTerminal {
 public:
  RawTerminal();
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  std::unique_ptr<termios> before_;
};

struct TerminalSize {
  unsigned rows{}, columns{};  // zero: not known
  bool operator==(const TerminalSize&) const = default;
};
TerminalSize terminal_size();

// Window changes have no descriptor to wait on without taking SIGWINCH.
inline constexpr int look_at_window_ms = 500;

}  // namespace codops::ops
