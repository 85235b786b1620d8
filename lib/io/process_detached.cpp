#include "lib/io/process_detached.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace codops::io {
namespace {

struct Report {
  int error{};   // of exec; 0: it runs
  pid_t pid{};
};

// Everything that is allocated is made before the fork.
struct Detaching {
  std::string file;
  std::vector<std::string> env_text;
  std::vector<char*> argv, envp;
  const char* cwd{nullptr};
  unsigned umask{077};
  int in{-1}, out{-1}, report{-1};
};

[[noreturn]] void give_up(int report) {
  const Report failed{errno, 0};
  [[maybe_unused]] const auto written = ::write(report, &failed, sizeof failed);
  ::_exit(127);
}

[[noreturn]] void become_detached(Detaching& prepared) {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  const pid_t pid = ::fork();
  if (pid < 0) give_up(prepared.report);
  if (pid > 0) {
    const Report started{0, pid};
    [[maybe_unused]] const auto written = ::write(prepared.report, &started, sizeof started);
    ::_exit(0);
  }
  const auto aside = [&](int fd) {
    const int copy = fd >= 0 ? ::fcntl(fd, F_DUPFD_CLOEXEC, 3) : ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (copy < 0) give_up(prepared.report);
    return copy;
  };
  prepared.report = aside(prepared.report);
  const int in = aside(prepared.in), out = aside(prepared.out);
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(out, 2) < 0) give_up(prepared.report);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::umask(prepared.umask);
  if (prepared.cwd != nullptr && ::chdir(prepared.cwd) != 0) give_up(prepared.report);
  ::execve(prepared.file.c_str(), prepared.argv.data(), prepared.envp.data());
  give_up(prepared.report);
}

}  // namespace

pid_t start_detached(const Program& program, int in, int out) {
  Detaching prepared;
  const auto found = program.argv.empty() ? std::nullopt : find_program(program.argv.front());
  if (!found) throw Failure{Exit::unavailable, fmt::format("\"{}\" is not installed here", program.argv.empty() ? "" : program.argv.front())};
  prepared.file = found->string();
  for (const auto& [name, value] : program.env) prepared.env_text.push_back(name + "=" + value);
  for (const auto& [name, value] : program.secret_env) prepared.env_text.push_back(name + "=" + value.reveal());
  for (auto& text : prepared.env_text) prepared.envp.push_back(text.data());
  prepared.envp.push_back(nullptr);
  for (const auto& word : program.argv) prepared.argv.push_back(const_cast<char*>(word.c_str()));
  prepared.argv.push_back(nullptr);
  if (!program.cwd.empty()) prepared.cwd = program.cwd.c_str();
  if (program.umask) prepared.umask = *program.umask;
  prepared.in = in;
  prepared.out = out;
  auto report = make_pipe();
  prepared.report = report.write.get();

  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t first = ::fork();
  const int why_not = errno;
  if (first == 0) become_detached(prepared);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (first < 0) throw Failure{Exit::failed, fmt::format("cannot fork: {}", std::strerror(why_not))};
  report.write.reset();
  while (::waitpid(first, nullptr, 0) < 0 && errno == EINTR) {
  }
  // First the pid, then, if exec fails, why; the end of the pipe is the exec itself.
  pid_t pid = 0;
  for (;;) {
    Report said;
    const auto got = ::read(report.read.get(), &said, sizeof said);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(sizeof said)) break;
    if (said.error != 0) {
      throw Failure{Exit::unavailable, fmt::format("cannot start \"{}\": {}", program.argv.front(), std::strerror(said.error))};
    }
    pid = said.pid;
  }
  if (pid == 0) throw Failure{Exit::unavailable, fmt::format("cannot start \"{}\"", program.argv.front())};
  return pid;
}

}  // namespace codops::io
