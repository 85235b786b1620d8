#pragma once
// Sources that may be silent for long: a pipe whose writer thinks. Whoever moves bytes in both directions must not wait in one of them.
#include <poll.h>

#include <array>
#include <cerrno>

#include "lib/base/cancel.hpp"

namespace codops::target {

// Thrown by a Source that would have to wait: it has something, or its end, once poll(2) says that `fd` can be read.
struct NothingYet {
  int fd{-1};
};

// Until `fd` has one of `events` or `input` (-1: none) can be read; the deadline and cancellation are the caller's to check.
inline void wait_for_either(int fd, short events, int input, const Limits& limits) {
  std::array<pollfd, 3> fds{pollfd{fd, events, 0}, pollfd{input, POLLIN, 0}, pollfd{limits.cancel.fd(), POLLIN, 0}};
  ::poll(fds.data(), fds.size(), limits.deadline.poll_timeout());
}

}  // namespace codops::target
