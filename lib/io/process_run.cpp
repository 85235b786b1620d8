// One poll loop that moves a child's three streams and notices its end.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <exception>

#include "lib/io/process.hpp"

namespace codops::io {
namespace {

constexpr std::size_t chunk = 256U << 10U;
constexpr std::size_t tail_size = 4U << 10U;
// How long output may still come from grandchildren after the child itself has ended.
constexpr Milliseconds afterlife{2000};

// A write to a child that stopped reading raises SIGPIPE in this thread: keep it from killing us.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;
  ~SigpipeBlocked() {
    if (::sigismember(&before_, SIGPIPE) == 0) {
      const timespec now{};
      while (::sigtimedwait(&pipe_, nullptr, &now) > 0) {
      }
      ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
  }

 private:
  sigset_t pipe_{}, before_{};
};

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

Pipe roomy_pipe() {
  auto pipe = make_pipe();
  ::fcntl(pipe.read.get(), F_SETPIPE_SZ, 1 << 20);  // refused above the user's quota: then it stays at 64 KiB
  return pipe;
}

class Conversation {
 public:
  Conversation(const Program& program, const Streams& streams) : streams_{streams} {
    Fd child_in, child_out;
    if (streams.in) {
      auto pipe = roomy_pipe();
      in_ = std::move(pipe.write);
      child_in = std::move(pipe.read);
      set_nonblocking(in_.get());
    }
    if (streams.out) {
      auto pipe = roomy_pipe();
      out_ = std::move(pipe.read);
      child_out = std::move(pipe.write);
      set_nonblocking(out_.get());
    }
    auto error = make_pipe();
    err_ = std::move(error.read);
    set_nonblocking(err_.get());
    child_.emplace(program, Child::Stdio{child_in.get(), child_out.get(), error.write.get()});
    buffer_.resize(chunk);
    input_.resize(streams.in ? chunk : 0);
  }

  Outcome finish(const Limits& limits) {
    try {
      while (!child_->ended()) step(limits, child_->exit_fd());
      drain(limits);
    } catch (...) {
      child_->stop();
      throw;
    }
    const auto status = child_->wait(Limits{});
    return {*status, trimmed_tail()};
  }

 private:
  void step(const Limits& limits, int exit_fd) {
    limits.check("a child process");
    std::array<pollfd, 5> fds{pollfd{in_.get(), POLLOUT, 0}, pollfd{out_.get(), POLLIN, 0},
                              pollfd{err_.get(), POLLIN, 0}, pollfd{exit_fd, POLLIN, 0},
                              pollfd{limits.cancel.fd(), POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), limits.deadline.poll_timeout()) < 0) {
      if (errno == EINTR) return;
      throw Failure{Exit::bug, fmt::format("poll: {}", std::strerror(errno))};
    }
    limits.cancel.check();
    if (fds[2].revents != 0) take_error();
    if (fds[1].revents != 0) take_output();
    if (fds[0].revents != 0) feed();
  }

  // The child has ended; the pipes may still hold what it wrote.
  void drain(const Limits& limits) {
    in_.reset();
    const auto bounded = limits.within(afterlife);
    while ((out_ || err_) && !bounded.deadline.expired()) {
      limits.check("a child process");
      std::array<pollfd, 3> fds{pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0},
                                pollfd{limits.cancel.fd(), POLLIN, 0}};
      if (::poll(fds.data(), fds.size(), bounded.deadline.poll_timeout()) < 0 && errno != EINTR) return;
      if (fds[1].revents != 0) take_error();
      if (fds[0].revents != 0) take_output();
    }
  }

  std::string_view read_from(Fd& fd) {
    const auto got = ::read(fd.get(), buffer_.data(), buffer_.size());
    if (got > 0) return {buffer_.data(), static_cast<std::size_t>(got)};
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) fd.reset();
    return {};
  }

  void take_output() {
    if (const auto bytes = read_from(out_); !bytes.empty()) streams_.out(bytes);
  }

  void take_error() {
    const auto bytes = read_from(err_);
    if (bytes.empty()) return;
    tail_.append(bytes);
    if (tail_.size() > 2 * tail_size) tail_.erase(0, tail_.size() - tail_size);
    if (streams_.err) streams_.err(bytes);
  }

  void feed() {
    if (pending_.empty()) {
      const auto size = streams_.in(input_.data(), input_.size());
      if (size == 0) {
        in_.reset();
        return;
      }
      pending_ = {input_.data(), size};
    }
    const auto written = ::write(in_.get(), pending_.data(), pending_.size());
    if (written >= 0) {
      pending_.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EAGAIN && errno != EINTR) {
      in_.reset();  // it reads no further; its exit status says whether that was meant
    }
  }

  std::string trimmed_tail() const {
    std::string_view tail{tail_};
    if (tail.size() > tail_size) tail.remove_prefix(tail.size() - tail_size);
    while (!tail.empty() && std::isspace(static_cast<unsigned char>(tail.back())) != 0) tail.remove_suffix(1);
    return std::string{tail};
  }

  const Streams& streams_;
  Fd in_, out_, err_;
  std::optional<Child> child_;
  std::vector<char> buffer_, input_;
  std::string_view pending_;
  std::string tail_;
};

}  // namespace

Outcome run(const Program& program, const Streams& streams, const Limits& limits) {
  const SigpipeBlocked blocked;
  Conversation conversation{program, streams};
  return conversation.finish(limits);
}

std::string capture(const Program& program, const Limits& limits, std::size_t size_cap) {
  std::string text;
  const auto outcome = run(program,
                           {{},
                            [&](std::string_view bytes) {
                              if (text.size() + bytes.size() > size_cap) {
                                throw Failure{Exit::failed, fmt::format("\"{}\" writes more than {} bytes",
                                                                        program.argv.front(), size_cap)};
                              }
                              text.append(bytes);
                            },
                            {}},
                           limits);
  if (!outcome.status.success()) {
    const auto line = outcome.error_tail.substr(outcome.error_tail.rfind('\n') + 1);
    throw Failure{Exit::failed, fmt::format("\"{}\" {}{}{}", program.argv.front(), outcome.status.text(),
                                            line.empty() ? "" : ": ", line)};
  }
  return text;
}

}  // namespace codops::io
