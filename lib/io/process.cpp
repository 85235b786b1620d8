// Starting, watching and stopping a child. The loop that moves its streams is in process_run.cpp.
#include "lib/io/process.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "lib/io/process_guard.hpp"

namespace codops::io {
namespace {

constexpr Milliseconds guards_own{2000};

constexpr std::string_view system_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool is_executable(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string search_path() {
  const char* own = std::getenv("PATH");
  std::string path = own != nullptr ? own : "";
  if (!path.empty()) path += ':';
  return path.append(system_path);
}

// Everything the child needs, allocated before fork: afterwards only async-signal-safe calls are allowed.
struct Prepared {
  std::string file;
  std::vector<std::string> env_text;
  std::vector<char*> argv, envp;
  const char* cwd{nullptr};
  Child::Stdio stdio;
  std::vector<Program::Passed> pass;
  std::optional<unsigned> umask;
  int report{-1};
  pid_t parent{};
  std::optional<int> guard_ms;
};

[[noreturn]] void give_up(int report, int stage) {
  const std::array<int, 2> what{errno, stage};
  [[maybe_unused]] const auto written = ::write(report, what.data(), sizeof what);
  ::_exit(127);
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(Prepared& prepared) {
  reset_signals();
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != prepared.parent) ::_exit(127);  // it died before prctl took effect
  if (prepared.guard_ms) stand_guard(prepared.parent, *prepared.guard_ms);
  // Move everything out of the way first: a target number may be another's source.
  int floor = 3;
  for (const auto& passed : prepared.pass) floor = passed.as >= floor ? passed.as + 1 : floor;
  const auto aside = [&](int fd) {
    const int copy = fd >= 0 ? ::fcntl(fd, F_DUPFD_CLOEXEC, floor) : ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (copy < 0) give_up(prepared.report, 1);
    return copy;
  };
  prepared.report = aside(prepared.report);
  const int in = aside(prepared.stdio.in), out = aside(prepared.stdio.out), err = aside(prepared.stdio.err);
  for (auto& passed : prepared.pass) passed.fd = aside(passed.fd);
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) give_up(prepared.report, 1);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  for (const auto& passed : prepared.pass) {
    if (::dup2(passed.fd, passed.as) < 0) give_up(prepared.report, 1);
  }
  if (prepared.umask) ::umask(*prepared.umask);
  if (prepared.cwd != nullptr && ::chdir(prepared.cwd) != 0) give_up(prepared.report, 2);
  ::execve(prepared.file.c_str(), prepared.argv.data(), prepared.envp.data());
  give_up(prepared.report, 3);
}

Prepared prepare(const Program& program, const Child::Stdio& stdio) {
  if (program.argv.empty()) throw Failure{Exit::bug, "a program without a name"};
  Prepared prepared;
  const auto found = find_program(program.argv.front());
  if (!found) {
    throw Failure{Exit::unavailable, fmt::format("\"{}\" is not installed here", program.argv.front()),
                  fmt::format("install it, or put its folder into PATH")};
  }
  prepared.file = found->string();
  for (const auto& [name, value] : program.env) prepared.env_text.push_back(name + "=" + value);
  for (const auto& [name, value] : program.secret_env) prepared.env_text.push_back(name + "=" + value.reveal());
  if (!program.env.contains("PATH")) prepared.env_text.push_back("PATH=" + search_path());
  for (auto& text : prepared.env_text) prepared.envp.push_back(text.data());
  prepared.envp.push_back(nullptr);
  for (const auto& word : program.argv) prepared.argv.push_back(const_cast<char*>(word.c_str()));
  prepared.argv.push_back(nullptr);
  if (!program.cwd.empty()) prepared.cwd = program.cwd.c_str();
  prepared.stdio = stdio;
  prepared.pass = program.pass;
  prepared.umask = program.umask;
  if (program.guarded) prepared.guard_ms = static_cast<int>(program.grace.count());
  prepared.parent = ::getpid();
  return prepared;
}

ExitStatus to_status(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return {info.si_status, 0};
  return {0, info.si_status};
}

}  // namespace

std::string ExitStatus::text() const {
  if (signal == 0) return fmt::format("exited with {}", code);
  return fmt::format("was killed by signal {} ({})", signal, ::strsignal(signal));
}

Child::Child(const Program& program, const Stdio& stdio)
    // A guard needs the program's time, and a moment to clear up behind it.
    : grace_{program.grace + (program.guarded ? guards_own : Milliseconds{})} {
  auto prepared = prepare(program, stdio);
  auto report = make_pipe();
  prepared.report = report.write.get();
  // All signals stay blocked over the fork, so that no handler of ours runs in the child.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_ = ::fork();
  const int why_not = errno;
  if (pid_ == 0) become(prepared);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid_ < 0) throw Failure{Exit::failed, fmt::format("cannot fork: {}", std::strerror(why_not))};
  ::setpgid(pid_, pid_);
  report.write.reset();

  std::array<int, 2> trouble{};
  ssize_t got = 0;
  do {
    got = ::read(report.read.get(), trouble.data(), sizeof trouble);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof trouble)) {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    throw Failure{Exit::unavailable, fmt::format("cannot start \"{}\"{}: {}", program.argv.front(),
                                                 trouble[1] == 2 ? " in " + program.cwd.string() : "",
                                                 std::strerror(trouble[0]))};
  }
  // Not through <sys/pidfd.h>: glibc 2.36 declares it without C linkage. Close-on-exec by itself.
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_) {
    const int reason = errno;
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    throw Failure{Exit::unavailable, fmt::format("cannot watch a child: {}", std::strerror(reason)),
                  "codops needs Linux 5.3 or newer"};
  }
}

Child::Child(Child&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)},
      pidfd_{std::move(other.pidfd_)},
      grace_{other.grace_},
      status_{other.status_} {}

Child::~Child() {
  if (pid_ > 0 && !status_) stop();
}

bool Child::ended() const {
  if (status_) return true;
  pollfd watched{pidfd_.get(), POLLIN, 0};
  return ::poll(&watched, 1, 0) > 0;
}

void Child::signal_group(int signal) const noexcept {
  if (pid_ > 0) ::kill(-pid_, signal);
}

std::optional<ExitStatus> Child::wait(const Limits& limits) {
  if (status_) return status_;
  if (limits.wait(pidfd_.get(), POLLIN) == 0) return std::nullopt;
  signal_group(SIGKILL);  // what it left behind; before reaping, while its number can't be another's
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  status_ = to_status(info);
  return status_;
}

ExitStatus Child::stop() {
  if (!status_) {
    signal_group(SIGTERM);
    signal_group(SIGCONT);
    if (!wait(Limits{Deadline::after(grace_), {}})) {
      signal_group(SIGKILL);
      wait(Limits{});
    }
  }
  return *status_;
}

std::optional<std::filesystem::path> find_program(std::string_view name) {
  if (name.find('/') != std::string_view::npos) {
    std::filesystem::path path{name};
    return is_executable(path) ? std::optional{path} : std::nullopt;
  }
  const auto path = search_path();
  std::string_view rest{path};
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const auto folder = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
    // A relative entry would make what runs depend on the folder we were started in.
    if (folder.empty() || folder.front() != '/') continue;
    auto candidate = std::filesystem::path{folder} / name;
    if (is_executable(candidate)) return candidate;
  }
  return std::nullopt;
}

std::map<std::string, std::string> environment_of(std::initializer_list<std::string_view> names) {
  std::map<std::string, std::string> found;
  for (const auto name : names) {
    const std::string key{name};
    if (const char* value = std::getenv(key.c_str())) found.emplace(key, value);
  }
  return found;
}

std::map<std::string, std::string> usual_environment() {
  return environment_of({"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"});
}

}  // namespace codops::io
