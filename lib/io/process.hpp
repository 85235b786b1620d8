#pragma once
// Child processes: the only fork and exec of codops. Never a shell: argv is an array, the environment is explicit.
#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/secret.hpp"
#include "lib/io/fd.hpp"

namespace codops::io {

// The same shapes as target::Sink and target::Source.
using Sink = std::function<void(std::string_view)>;                        // may throw to stop; never an empty view
using Source = std::function<std::size_t(char* into, std::size_t size)>;   // at most `size` bytes; 0 is the end

struct Program {
  std::vector<std::string> argv;           // argv[0]: a path, or a name for find_program()
  std::map<std::string, std::string> env;  // the child's whole environment; PATH is added where it is missing
  std::map<std::string, Secret> secret_env;
  std::filesystem::path cwd{};             // empty: ours
  struct Passed {
    int fd;     // ours
    int as;     // the child's number, 3 or more
  };
  std::vector<Passed> pass;                // every other descriptor above 2 is closed in the child
  Milliseconds grace{5000};                // between SIGTERM and SIGKILL when it has to be stopped; none, and guarded: nothing of it goes on after its own end either
  std::optional<unsigned> umask{};
  // A guard of ours stands between: once the program was stopped, or we died, nothing that it started goes on, in whatever session it is.
  bool guarded{false};
};

struct ExitStatus {
  int code{};    // valid when signal is 0
  int signal{};  // the signal that ended it, or 0
  bool success() const noexcept { return code == 0 && signal == 0; }
  std::string text() const;  // "exited with 1", "was killed by signal 9 (Killed)"
};

struct Streams {
  Source in;   // empty function: /dev/null
  Sink out;    // empty function: /dev/null
  Sink err;    // empty function: only the tail is kept
};

struct Outcome {
  ExitStatus status;
  std::string error_tail;  // the last 4 KiB of stderr, trimmed
};

// Runs a program to its end, moving all three streams on one poll loop. `in` is called when the child can take more.
// On cancellation, deadline or a throwing sink the whole process group gets SIGTERM, after `grace` SIGKILL, is reaped,
// and the Failure goes on up. The child dies with the thread that called (PDEATHSIG). Throws Failure{69} when the
// program can't be found or started.
Outcome run(const Program& program, const Streams& streams, const Limits& limits);

// stdout of a program that must exit with 0; otherwise Failure{failed} with the last line of stderr.
std::string capture(const Program& program, const Limits& limits, std::size_t size_cap = 16U << 20U);

// A child that runs beside us: a server of a test, a tunnel. Destruction stops and reaps its process group.
class Child {
 public:
  // Streams are descriptors of ours that become the child's 0, 1, 2; -1 is /dev/null.
  struct Stdio {
    int in{-1}, out{-1}, err{-1};
  };
  Child(const Program& program, const Stdio& stdio);
  Child(Child&&) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  pid_t pid() const noexcept { return pid_; }
  int exit_fd() const noexcept { return pidfd_.get(); }  // readable once it has ended
  bool ended() const;
  void signal_group(int signal) const noexcept;
  // Reaps it and kills what is left of its group; nullopt when the deadline comes first.
  std::optional<ExitStatus> wait(const Limits& limits);
  // TERM, grace, KILL, reap.
  ExitStatus stop();

 private:
  pid_t pid_{-1};
  Fd pidfd_;
  Milliseconds grace_{5000};
  std::optional<ExitStatus> status_;
};

// A name is looked up in our PATH, then in the system's usual places (cron has neither).
std::optional<std::filesystem::path> find_program(std::string_view name);
// What our own environment has of these names: the ordinary start of Program::env.
std::map<std::string, std::string> environment_of(std::initializer_list<std::string_view> names);
// PATH, HOME, USER, LOGNAME, LANG, LC_ALL, TZ, TMPDIR, as far as set.
std::map<std::string, std::string> usual_environment();

}  // namespace codops::io
