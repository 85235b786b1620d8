#include "lib/scaffold/dev/started_commands.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/fd.hpp"
#include "lib/io/files.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

constexpr const char* key = "commands";
// The guard gives them as long before it kills them.
constexpr Milliseconds gentle{5'000}, firm{5'000};

std::string text_in(const fs::path& file) {
  try {
    return io::read_file_if_there(file).value_or("");
  } catch (const Failure&) {
    return {};  // it has ended, or is another user's
  }
}

bool is_marked(const fs::path& process, const std::string& word) {
  const auto text = text_in(process / "environ");
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    if ((at == 0 || text[at - 1] == '\0') && (at + word.size() == text.size() || text[at + word.size()] == '\0')) return true;
  }
  return false;
}

// Sends each of them `signal`; returns who they are.
std::vector<std::string> signal_all(const std::string& word, int signal) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& process : fs::directory_iterator{"/proc", error}) {
    const auto name = process.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos || !is_marked(process.path(), word)) continue;
    const auto pid = static_cast<pid_t>(std::stol(name));
    if (pid == ::getpid()) continue;
    const io::Fd held{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    // Once it is held its number can't be another's: look again.
    if (!held || !is_marked(process.path(), word)) continue;
    auto comm = text_in(process.path() / "comm");
    comm = comm.substr(0, comm.find('\n'));
    if (signal != 0) ::syscall(SYS_pidfd_send_signal, held.get(), signal, nullptr, 0);
    found.push_back(fmt::format("{} (pid {})", comm, pid));
  }
  return found;
}

// True: none is left.
bool gone_within(const std::string& word, Milliseconds time, const Limits& limits) {
  const auto bounded = limits.within(time);
  Backoff backoff{Milliseconds{20}, Milliseconds{200}};
  while (!signal_all(word, 0).empty()) {
    if (!backoff.wait(bounded)) return false;
  }
  return true;
}

}  // namespace

std::string StartedCommands::mark() {
  const std::lock_guard guard{mutex_};
  if (mark_.empty()) {
    mark_ = io::to_hex(io::random_bytes(16));
    ledger_.put(key, {mark_, {}});
  }
  return mark_;
}

void StartedCommands::over() {
  const std::lock_guard guard{mutex_};
  if (!mark_.empty()) ledger_.drop(key);
  mark_.clear();
}

std::vector<std::string> end_left_commands(Ledger& ledger, const Limits& limits) {
  const auto known = ledger.find(key);
  // Whatever stands there, only a word as this program makes them is looked for.
  if (!known || known->inputs.size() != 32) return {};
  const auto word = fmt::format("{}={}", StartedCommands::variable, known->inputs);
  auto ended = signal_all(word, SIGTERM);
  if (!gone_within(word, gentle, limits)) {
    signal_all(word, SIGKILL);
    if (!gone_within(word, firm, limits)) {
      throw Failure{Exit::failed, fmt::format("commands of an earlier run, which was killed, still run: {}", fmt::join(signal_all(word, 0), ", ")), "end them, then codops setup-dev"};
    }
  }
  ledger.drop(key);
  return ended;
}

}  // namespace codops::scaffold::dev
