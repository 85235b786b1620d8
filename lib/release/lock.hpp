#pragma once
// Who may change an environment: one at a time. Policy over the engine's primitive (target::LockPrimitive).
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/reporter.hpp"
#include "lib/target/state.hpp"

namespace codops::release {

inline constexpr Milliseconds heartbeat_every{std::chrono::seconds{5}};
inline constexpr Milliseconds stale_after{std::chrono::seconds{30}};
// A holder stops mutating well before anyone may call it stale.
inline constexpr Milliseconds mistrust_after{std::chrono::seconds{20}};

// Before a change: somebody may have evicted this run while it was stopped for a moment.
inline constexpr Milliseconds just_now{std::chrono::seconds{1}};

// This process, as a lock's owner. `command`: "deploy production v1.0.0". Owner: $CODOPS_USER, a CI system's run, else the login name.
target::LockOwner this_process(std::string command);

// How a lock is judged, from what can be seen here. Pure but for `process_alive`.
enum class Verdict { fresh, holder_dead, heartbeat_old };
Verdict judge(const target::LockState& state, const target::LockOwner& here,
              const std::function<bool(std::int64_t pid, std::uint64_t start_time)>& process_alive);
bool process_alive(std::int64_t pid, std::uint64_t start_time);

// "alice on laptop runs `deploy production v1.0.0` since 2 min ago, heartbeat 3 s ago"
std::string describe(const target::LockState& state);

// A held lock. The heartbeat runs on a thread of its own with a primitive of its own (connections aren't shared).
class HeldLock {
 public:
  HeldLock(std::unique_ptr<target::LockPrimitive> primitive, std::string token, Milliseconds waited, const Clock& clock);
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock();  // stops the heartbeat; does not release: an exception on the way must leave what release() decides

  const std::string& token() const noexcept;
  Milliseconds waited() const noexcept;  // while another run held it
  // Throws Failure{locked} when the lock was evicted or the last accepted heartbeat is older than mistrust_after. A lock that was not seen
  // for longer than `trusted` is looked at first, which tells of an eviction.
  void check(Milliseconds trusted = mistrust_after) const;
  // Writes to the environment's state, only while the lock is there (a heartbeat in the same call where there is no quicker way):
  // Failure{locked}, and nothing written, when it was evicted. Another Failure when it could not be written.
  void write(const std::vector<target::StateStore::File>& files, const Limits& limits);
  // The same for what makes a run known: a signal that comes meanwhile does not leave open whether it was written, unless the engine
  // hangs. The caller's next step notices the signal, and closes what it opened.
  void write_whole(const std::vector<target::StateStore::File>& files, const Limits& limits);
  void release(const Limits& limits);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct AcquireOptions {
  Milliseconds wait{0};     // --lock-wait; 0: exit 4 at once
  std::string environment;  // for what the failure says to type
};

// `connect` makes a primitive; called once for acquiring and once for the heartbeat. Takes over a stale lock, saying so.
// Throws Failure{locked} naming the holder.
std::unique_ptr<HeldLock> acquire(const std::function<std::unique_ptr<target::LockPrimitive>()>& connect,
                                  const target::LockOwner& owner, const AcquireOptions& options, const Clock& clock,
                                  Reporter& reporter, const Limits& limits);

}  // namespace codops::release
