#pragma once
// Cancellation and deadlines, passed down together as `Limits` to everything that may wait.
#include <memory>

#include "lib/base/clock.hpp"
#include "lib/base/failure.hpp"

namespace codops {

// A handle on a cancellation state; copies share it. A default one can't be cancelled.
class Cancel {
 public:
  Cancel() = default;
  bool requested() const noexcept;
  // Readable (POLLIN) once cancellation was requested; -1 when it can't be: poll(2) ignores that.
  int fd() const noexcept;
  // Throws Failure with the code that the source was cancelled with.
  void check() const;

 private:
  friend class CancelSource;
  struct State;
  explicit Cancel(std::shared_ptr<State> state) : state_{std::move(state)} {}
  std::shared_ptr<State> state_;
};

class CancelSource {
 public:
  CancelSource();
  Cancel token() const { return Cancel{state_}; }
  // Async-signal-safe. `why` becomes the code of the Failure (interrupted, terminated, deadline, …). First call wins.
  void cancel(Exit why) noexcept;

 private:
  std::shared_ptr<Cancel::State> state_;
};

struct Limits {
  Deadline deadline = Deadline::never();
  Cancel cancel;

  // The same cancellation with the sooner of the two deadlines.
  Limits within(Milliseconds duration) const { return {deadline.sooner(Deadline::after(duration)), cancel}; }
  // Throws when cancelled, or Failure{deadline, "`what` took too long"} when the deadline has passed.
  void check(std::string_view what) const;
  // Waits until `fd` has one of `events` (poll(2) bits), the deadline or cancellation: returns the bits, 0 at the
  // deadline; throws when cancelled. fd -1 waits for the other two only.
  short wait(int fd, short events) const;
};

}  // namespace codops
