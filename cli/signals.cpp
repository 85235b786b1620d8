#include "cli/signals.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>

namespace codops::cli {
namespace {

// A handler gets no context: this is the only global of codops.
std::atomic<CancelSource*> target{nullptr};
std::atomic<bool> asked{false};
static_assert(std::atomic<CancelSource*>::is_always_lock_free);

void on_signal(int number) {
  if (asked.exchange(true)) ::_exit(128 + number);
  if (auto* source = target.load()) source->cancel(number == SIGINT ? Exit::interrupted : Exit::terminated);
}

constexpr std::array stopping{SIGINT, SIGTERM, SIGHUP};

}  // namespace

Signals::Signals(CancelSource& source) {
  asked = false;
  target = &source;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : stopping) {
    sigaddset(&wanted, number);
    struct sigaction before {};
    // nohup and background jobs have them ignored: they stay so.
    if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    ::sigaction(number, &action, nullptr);
  }
  // Who started us may have blocked them for itself, as threads of other programs do: then nobody could end us.
  ::pthread_sigmask(SIG_UNBLOCK, &wanted, nullptr);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
}

Signals::~Signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (const int number : stopping) {
    struct sigaction now {};
    if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler == on_signal) ::sigaction(number, &action, nullptr);
  }
  target = nullptr;
}

Before harden_process() {
  rlimit core{};
  ::getrlimit(RLIMIT_CORE, &core);
  // The hard limit stays: who is not root could never take it back, and nor could what codops starts or becomes.
  const rlimit none{0, core.rlim_max};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);
  return {::umask(077), core.rlim_cur};
}

}  // namespace codops::cli
