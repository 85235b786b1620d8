#include "lib/base/cancel.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace codops {

struct Cancel::State {
  std::atomic<int> why{0};
  int fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ::close(fd); }
};

bool Cancel::requested() const noexcept { return state_ && state_->why.load() != 0; }

int Cancel::fd() const noexcept { return state_ ? state_->fd : -1; }

void Cancel::check() const {
  if (!requested()) return;
  const auto why = static_cast<Exit>(state_->why.load());
  throw Failure{why, why == Exit::deadline ? "the deadline has passed" : "interrupted"};
}

CancelSource::CancelSource() : state_{std::make_shared<Cancel::State>()} {}

void CancelSource::cancel(Exit why) noexcept {
  int expected = 0;
  if (!state_->why.compare_exchange_strong(expected, static_cast<int>(why))) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(state_->fd, &one, sizeof one);
}

void Limits::check(std::string_view what) const {
  cancel.check();
  if (deadline.expired()) throw Failure{Exit::deadline, std::string{what} + " took too long"};
}

short Limits::wait(int fd, short events) const {
  for (;;) {
    std::array<pollfd, 2> fds{pollfd{fd, events, 0}, pollfd{cancel.fd(), POLLIN, 0}};
    const int count = ::poll(fds.data(), fds.size(), deadline.poll_timeout());
    if (count < 0 && errno != EINTR) {
      throw Failure{Exit::bug, std::string{"poll: "} + std::strerror(errno)};
    }
    cancel.check();
    if (count > 0 && fds[0].revents != 0) return fds[0].revents;
    if (deadline.expired()) return 0;
  }
}

}  // namespace codops
