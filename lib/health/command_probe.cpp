#include "lib/health/command_probe.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "lib/health/verdict.hpp"
#include "lib/io/process.hpp"

namespace codops::health {
namespace {

std::string last_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const auto newline = text.rfind('\n');
  return std::string{text.substr(newline == std::string_view::npos ? 0 : newline + 1)};
}

// One stream of the command, of which the end is kept.
class Tail {
 public:
  // Returns the end for the child.
  io::Fd open() {
    auto pipe = io::make_pipe();
    fd_ = std::move(pipe.read);
    ::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
    return std::move(pipe.write);
  }
  int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }
  const std::string& text() const { return text_; }

  // False: nothing more will come.
  bool read_some() {
    std::array<char, 16384> buffer{};
    const auto got = ::read(fd_.get(), buffer.data(), buffer.size());
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    text_.append(buffer.data(), static_cast<std::size_t>(got));
    if (text_.size() > 2 * kept) text_.erase(0, text_.size() - kept);
    return got > 0;
  }

  // What the child itself wrote is in the pipe once it has ended; somebody it left behind may write for ever.
  void read_rest() {
    constexpr std::size_t most_in_a_pipe = 1U << 20U;
    std::array<char, 16384> buffer{};
    for (std::size_t taken = 0; fd_ && taken < most_in_a_pipe;) {
      const auto got = ::read(fd_.get(), buffer.data(), buffer.size());
      if (got <= 0) return;
      text_.append(buffer.data(), static_cast<std::size_t>(got));
      taken += static_cast<std::size_t>(got);
    }
  }

 private:
  static constexpr std::size_t kept = 4096;
  io::Fd fd_;
  std::string text_;
};

Finding judge_command(const io::ExitStatus& status, const std::string& why) {
  if (status.success()) return {};
  Finding out{Status::fail, io::Stage::status, "it " + status.text() + (why.empty() ? "" : ": " + io::shown_text(why)), "run it by hand", {}};
  if (status.signal == 0 && status.code == 1) out.status = Status::warn;
  if (status.signal == 0 && status.code == 3) out.status = Status::unknown;
  return out;
}

// At once and with all that it started: SIGTERM is for its guard, who kills.
void kill_now(io::Child&& child) {
  constexpr Milliseconds until_reaped{20};
  auto dying = std::make_shared<io::Child>(std::move(child));
  dying->signal_group(SIGTERM);
  if (dying->wait(Limits{}.within(until_reaped))) return;
  // It hangs in the kernel (a file server that is gone): its end is nothing to wait for.
  try {
    std::thread{[dying] { dying->wait(Limits{}); }}.detach();
  } catch (const std::system_error&) {
    // Then the destructor waits.
  }
}

class CommandProbe final : public io::Probe {
 public:
  CommandProbe(io::EventLoop& loop, const CommandCheck& check, std::function<void(Finding)> done) : loop_{loop}, argv_{check.argv}, done_{std::move(done)} {
    timer_ = loop_.after(Milliseconds{0}, [this] {
      timer_.reset();
      start();
    });
  }
  ~CommandProbe() override {
    if (timer_) loop_.cancel(*timer_);
    forget();
    if (child_) kill_now(std::move(*child_));
  }
  CommandProbe(const CommandProbe&) = delete;
  CommandProbe& operator=(const CommandProbe&) = delete;

  io::Stage stage() const override { return io::Stage::request; }
  io::StageTimes times() const override { return {}; }
  std::string address() const override { return {}; }

 private:
  void start() {
    io::Program program;
    program.argv = argv_;
    program.env = io::usual_environment();
    // Even where codops itself is killed, nothing that it started goes on; with no grace not after its own end either.
    program.guarded = true;
    program.grace = Milliseconds{0};
    try {
      const auto out = out_.open(), err = err_.open();
      child_.emplace(program, io::Child::Stdio{-1, out.get(), err.get()});
    } catch (const Failure& failure) {
      return finish({Status::unknown, io::Stage::request, failure.message(), failure.hint(), {}});
    }
    for (auto* stream : {&out_, &err_}) {
      loop_.watch(stream->fd(), EPOLLIN, [this, stream](std::uint32_t) {
        if (stream->read_some()) return;
        loop_.unwatch(stream->fd());
        stream->close();
      });
    }
    loop_.watch(child_->exit_fd(), EPOLLIN, [this](std::uint32_t) { ended(); });
  }

  void ended() {
    const auto status = *child_->wait(Limits{});
    out_.read_rest();
    err_.read_rest();
    finish(judge_command(status, last_line(err_.text().empty() ? out_.text() : err_.text())));
  }

  void forget() noexcept {
    for (const auto* stream : {&out_, &err_}) {
      if (stream->fd() >= 0) loop_.unwatch(stream->fd());
    }
    if (child_) loop_.unwatch(child_->exit_fd());
  }

  void finish(Finding finding) {
    forget();
    const auto done = std::exchange(done_, {});
    done(std::move(finding));
  }

  io::EventLoop& loop_;
  std::vector<std::string> argv_;
  std::function<void(Finding)> done_;
  std::optional<io::EventLoop::Timer> timer_;
  Tail out_, err_;
  std::optional<io::Child> child_;
};

}  // namespace

std::unique_ptr<io::Probe> start_command_probe(io::EventLoop& loop, const CommandCheck& check, std::function<void(Finding)> done) {
  return std::make_unique<CommandProbe>(loop, check, std::move(done));
}

}  // namespace codops::health
