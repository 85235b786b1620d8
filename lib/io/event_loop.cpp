#include "lib/io/event_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <cstring>
#include <mutex>

namespace codops::io {

struct EventLoop::Inbox {
  std::mutex mutex;
  std::vector<Action> actions;
  bool closed{false};
  int fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  Inbox() = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;
  ~Inbox() { ::close(fd); }
};

namespace {

// OpenSSL writes to sockets with write(2): a peer that closed early must be an error there, not the process's end.
class NoBrokenPipe {
 public:
  NoBrokenPipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;
  ~NoBrokenPipe() {
    const timespec at_once{};
    if (::sigismember(&before_, SIGPIPE) == 0) {
      while (::sigtimedwait(&pipe_, nullptr, &at_once) > 0) {
      }
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_{}, before_{};
};

}  // namespace

void EventLoop::Mailbox::post(Action action) const {
  const std::lock_guard lock{inbox_->mutex};
  if (inbox_->closed) return;
  inbox_->actions.push_back(std::move(action));
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(inbox_->fd, &one, sizeof one);
}

EventLoop::EventLoop() : epoll_{::epoll_create1(EPOLL_CLOEXEC)}, inbox_{std::make_shared<Inbox>()} {
  if (epoll_ < 0 || inbox_->fd < 0) {
    const std::string why = std::strerror(errno);
    if (epoll_ >= 0) ::close(epoll_);
    throw Failure{Exit::unknown, "cannot make an event loop: " + why, "raise the limit of open files: ulimit -n 1024"};
  }
  watch(inbox_->fd, EPOLLIN, [this](std::uint32_t) { open_mail(); });
}

EventLoop::~EventLoop() {
  {
    const std::lock_guard lock{inbox_->mutex};
    inbox_->closed = true;
  }
  ::close(epoll_);
}

void EventLoop::watch(int fd, std::uint32_t events, Ready ready) {
  const auto generation = ++generation_;
  epoll_event event{};
  event.events = events;
  event.data.u64 = (static_cast<std::uint64_t>(generation) << 32) | static_cast<std::uint32_t>(fd);
  const bool known = watches_.contains(fd);
  // A descriptor closed behind our back leaves epoll by itself, and its number may have come back as a new file.
  if (::epoll_ctl(epoll_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
    const int other = errno == ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (::epoll_ctl(epoll_, other, fd, &event) != 0) {
      throw Failure{Exit::bug, std::string{"epoll: "} + std::strerror(errno)};
    }
  }
  watches_[fd] = Watch{generation, std::make_shared<Ready>(std::move(ready))};
}

void EventLoop::unwatch(int fd) noexcept {
  if (watches_.erase(fd) != 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::Timer EventLoop::at(TimePoint time, Action action) {
  const Timer timer{time, ++timer_count_};
  timers_.emplace(timer, std::move(action));
  return timer;
}

EventLoop::Timer EventLoop::after(Milliseconds duration, Action action) {
  return at(std::chrono::steady_clock::now() + duration, std::move(action));
}

void EventLoop::cancel(const Timer& timer) noexcept { timers_.erase(timer); }

EventLoop::End EventLoop::run(const Limits& limits) {
  const NoBrokenPipe no_broken_pipe;
  stopped_ = false;
  bool cancelled = limits.cancel.requested();
  const int cancel_fd = limits.cancel.fd();
  if (cancel_fd >= 0) watch(cancel_fd, EPOLLIN, [&cancelled](std::uint32_t) { cancelled = true; });
  struct Unwatch {
    EventLoop& loop;
    int fd;
    ~Unwatch() {
      if (fd >= 0) loop.unwatch(fd);
    }
  } const unwatch_cancel{*this, cancel_fd};

  std::array<epoll_event, 256> events{};
  for (;;) {
    if (cancelled) return End::cancelled;
    if (stopped_) return End::stopped;
    if (limits.deadline.expired()) return End::deadline;
    const int count =
        ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_time(limits.deadline));
    if (count < 0 && errno != EINTR) throw Failure{Exit::bug, std::string{"epoll: "} + std::strerror(errno)};
    for (int i = 0; i < count && !stopped_; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      const auto found = watches_.find(static_cast<int>(event.data.u64 & 0xffffffffU));
      // An earlier event of this batch may have closed or replaced it.
      if (found == watches_.end() || found->second.generation != event.data.u64 >> 32) continue;
      const auto ready = found->second.ready;
      (*ready)(event.events);
      if (limits.deadline.expired()) break;
    }
    fire_timers();
  }
}

void EventLoop::fire_timers() {
  const auto now = std::chrono::steady_clock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now) {
    const auto action = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    action();
  }
}

void EventLoop::open_mail() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(inbox_->fd, &count, sizeof count);
  std::vector<Action> actions;
  {
    const std::lock_guard lock{inbox_->mutex};
    actions.swap(inbox_->actions);
  }
  for (auto& action : actions) action();
}

int EventLoop::wait_time(const Deadline& deadline) const {
  auto until = deadline;
  if (!timers_.empty()) until = until.sooner(Deadline::at(timers_.begin()->first.first));
  return until.poll_timeout();
}

}  // namespace codops::io
