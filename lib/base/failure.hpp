#pragma once
// The one exception type of codops. Adapters translate their library's errors into it at their boundary;
// absence is std::optional, never a Failure.
#include <exception>
#include <string>
#include <string_view>

namespace codops {

// The process's exit codes (README, "Exit codes").
enum class Exit : int {
  ok = 0,
  failed = 1,         // traffic never moved
  unhealthy = 2,      // the answer to a question is "no"
  unknown = 3,        // could not find out
  locked = 4,         // another run holds the lock
  moved_back = 5,     // failed after traffic had moved; it was moved back
  undo_failed = 6,    // failed, and undoing failed
  usage = 64,         // arguments
  data = 65,          // dumps, migrations, journal
  unavailable = 69,   // no answer
  bug = 70,
  config = 78,        // codops.yaml, compose, env, kubeconfig
  deadline = 124,
  interrupted = 130,  // SIGINT
  terminated = 143,   // SIGTERM
};

class Failure : public std::exception {
 public:
  // `message` says what failed and why, `hint` what to type or change next (may be empty).
  Failure(Exit code, std::string message, std::string hint = {});

  Exit code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& hint() const noexcept { return hint_; }
  const char* what() const noexcept override { return message_.c_str(); }

  // Puts "`context`: " before the message; use with `throw;` on the way up.
  Failure& add_context(std::string_view context);
  Failure& with_hint(std::string hint);  // only where none was given yet
  Failure& with_code(Exit code);

 private:
  Exit code_;
  std::string message_;
  std::string hint_;
};

// "did you mean": the candidate nearest to `word` by edit distance, if near enough, else empty.
// Candidates: any range of things convertible to string_view.
std::size_t edit_distance(std::string_view a, std::string_view b);

template <typename Range>
std::string nearest(std::string_view word, const Range& candidates) {
  std::string best;
  std::size_t best_distance = word.size() / 3 + 2;
  for (const auto& candidate : candidates) {
    const std::string_view view{candidate};
    if (const auto distance = edit_distance(word, view); distance < best_distance) {
      best_distance = distance;
      best = std::string{view};
    }
  }
  return best;
}

}  // namespace codops
