#include "lib/io/process_guard.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace codops::io {
namespace {

constexpr int long_time_ms = 60'000;

long now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// The guard has one thread: /proc lists its children as "12 34 56 ".
bool kill_children() {
  const int file = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char text[4096];
  pid_t number = 0;
  for (;;) {
    const auto got = ::read(file, text, sizeof text);
    if (got <= 0) break;
    for (ssize_t at = 0; at < got; ++at) {
      if (text[at] >= '0' && text[at] <= '9') {
        number = number * 10 + (text[at] - '0');
      } else if (number > 0) {
        ::kill(number, SIGKILL);
        number = 0;
      }
    }
  }
  ::close(file);
  return true;
}

class Guard {
 public:
  Guard(pid_t parent, pid_t program, int grace_ms) : parent_{parent}, program_{program}, grace_ms_{grace_ms} {}

  [[noreturn]] void watch(const sigset_t& signals) {
    if (::getppid() != parent_) end_all();  // it died before prctl took effect
    for (;;) {
      const long left = until_ == 0 ? long_time_ms : until_ - now_ms();
      if (left <= 0) end_all();
      const timespec wait{left / 1000, left % 1000 * 1'000'000};
      const int signal = ::sigtimedwait(&signals, nullptr, &wait);
      if (::getppid() != parent_) end_all();
      if (signal == SIGTERM && until_ == 0) {
        until_ = now_ms() + grace_ms_;
        ::kill(-program_, SIGTERM);
        ::kill(-program_, SIGCONT);
      }
      reap(WNOHANG);
      // Its own background jobs may go on after a program that ended by itself, but not after one that was stopped or has no grace.
      if (ended_ && (until_ != 0 || grace_ms_ == 0)) end_all();
      if (ended_) leave();
    }
  }

 private:
  // False: there is none left.
  bool reap(int options) {
    for (;;) {
      siginfo_t info{};
      if (::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | options) != 0) {
        if (errno == EINTR) continue;
        return false;
      }
      if (info.si_pid == 0) return true;
      // What is left of its group; before reaping, while its number can't be another's.
      if (info.si_pid == program_) ::kill(-program_, SIGKILL);
      int status = 0;
      ::waitpid(info.si_pid, &status, 0);
      if (info.si_pid == program_) {
        status_ = status;
        ended_ = true;
      }
      if (options == 0) return true;
    }
  }

  // Whoever dies leaves its children to us, until there are none.
  [[noreturn]] void end_all() {
    if (!ended_) ::kill(-program_, SIGKILL);  // else its group is gone, and the number may be another's
    while (kill_children() && reap(0)) {
    }
    leave();
  }

  [[noreturn]] void leave() {
    if (ended_ && WIFSIGNALED(status_)) {
      const rlimit none{0, 0};
      ::setrlimit(RLIMIT_CORE, &none);
      sigset_t open;
      ::sigemptyset(&open);
      ::signal(WTERMSIG(status_), SIG_DFL);
      ::sigprocmask(SIG_SETMASK, &open, nullptr);
      ::kill(::getpid(), WTERMSIG(status_));
    }
    ::_exit(ended_ ? WEXITSTATUS(status_) : 128 + SIGKILL);
  }

  pid_t parent_, program_;
  int grace_ms_;
  long until_{0};  // 0: not asked to stop
  bool ended_{false};
  int status_{0};
};

}  // namespace

void stand_guard(pid_t parent, int grace_ms) {
  sigset_t all, none, awaited;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::sigemptyset(&awaited);
  ::sigaddset(&awaited, SIGCHLD);
  ::sigaddset(&awaited, SIGTERM);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const pid_t guard = ::getpid();
  // Not fork(): it would run handlers of libraries that other threads of our parent may have been in.
  const pid_t program = ::_Fork();
  if (program == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != guard) ::_exit(127);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    return;
  }
  if (program < 0) ::_exit(127);
  ::setpgid(program, program);
  // The pipes' other ends must see the program's end, not ours.
  ::close_range(0, ~0U, 0);
  Guard{parent, program, grace_ms}.watch(awaited);
}

}  // namespace codops::io
