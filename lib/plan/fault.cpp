#include "lib/plan/fault.hpp"

#include <fmt/format.h>

#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/base/failure.hpp"

namespace codops::plan {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

int signal_named(std::string_view name) {
  if (name == "TERM") return SIGTERM;
  if (name == "INT") return SIGINT;
  if (name == "STOP") return SIGSTOP;
  return SIGKILL;
}

}  // namespace

Faults::Faults() : kill_point_{variable("CODOPS_TEST_KILL")}, fail_point_{variable("CODOPS_TEST_FAIL")}, signal_{SIGKILL} {
  // "after:start:TERM": steps' names have no colon.
  if (const auto last = kill_point_.rfind(':'); last != std::string::npos && last != kill_point_.find(':')) {
    signal_ = signal_named(std::string_view{kill_point_}.substr(last + 1));
    kill_point_.resize(last);
  }
}

void Faults::at(std::string_view when, std::string_view step) const {
  if (kill_point_.empty() && fail_point_.empty()) return;
  const auto here = fmt::format("{}:{}", when, step);
  // Not std::raise: that signals the calling thread, and a stop or a kill is the whole process's.
  if (here == kill_point_) ::kill(::getpid(), signal_);
  if (here == fail_point_) throw Failure{Exit::failed, fmt::format("made to fail {} for a test", here)};
}

}  // namespace codops::plan
