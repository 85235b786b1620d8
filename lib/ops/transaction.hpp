#pragma once
// One mutating command on a Docker host: the lock, recovery of what an earlier run left, the journalled run, the record.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/actions.hpp"
#include "lib/ops/deploy_plan.hpp"
#include "lib/ops/host.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops {

struct RunResult {
  bool no_op{false};
  Exit exit{Exit::ok};
  plan::Plan plan;
  plan::Outcome outcome;
  release::HistoryEntry entry;
  std::string evidence;                // JSON; empty when nothing failed
  std::vector<std::string> last_lines; // of the container that failed
  Milliseconds elapsed{};      // of the whole command, from its first look to the end of its hooks
  Milliseconds waited{};       // for the lock, images, an answer
  Milliseconds after_hooks{};
  std::map<std::string, Milliseconds> engine_time;
  int front_door_asked{}, front_door_answered{};
};

struct Recovery {
  bool needed{false};
  bool forward{false};  // finished; else undone
  std::string text;     // "finished deploy v1.1.0 (release 13), which died at step stop"
};

enum class RecoveryWay {
  best,  // forward where the whole new set serves, else back
  back,  // `abort`: never forward
};

class Transaction {
 public:
  // Takes the lock and recovers, saying so through the host's reporter. `command`: "deploy production v1.0.0".
  Transaction(Host& host, std::string command, const release::AcquireOptions& lock, const Limits& limits,
              RecoveryWay way = RecoveryWay::best);
  ~Transaction();  // gives the lock back
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  const Observed& observed() const { return observed_; }
  void observe_again(const Limits& limits);
  const std::string& token() const { return token_; }
  const Recovery& recovery() const { return recovery_; }
  Milliseconds waited() const { return lock_->waited(); }  // for the lock
  // The traffic network's subnet, chosen when it does not exist yet. Not for dry runs: asks the engine to try.
  void choose_subnet(const Limits& limits);

  // Journals and runs. `desired` supplies definitions and files; for a rollback those of the stored release.
  RunResult run(const Planned& planned, const Desired& desired, Companions companions, const Limits& limits);
  // Removes what no kept release needs: containers, images, state. Never fails the command: warns.
  // Returns the time that the engine took to remove containers.
  Milliseconds prune(const Limits& limits);
  // A single history entry without a plan ("down").
  void record(release::HistoryEntry entry, const Limits& limits);
  void release_lock();

 private:
  void recover(RecoveryWay way, const Limits& limits);
  RunContext context(const release::Release& next, const std::optional<release::Release>& current, const Desired& desired);
  plan::Journal journal(std::string run, int next_seq);
  release::HistoryEntry entry_for(const plan::Plan& plan, WallTime started) const;
  WallTime now();

  Host& host_;
  target::LockOwner owner_;
  std::unique_ptr<release::HeldLock> lock_;
  std::string token_;
  Observed observed_;
  Recovery recovery_;
};

// Where users come in: the settings' front_door, else the proxy's first published port that speaks plain HTTP, else its first.
std::optional<FrontDoorTarget> front_door_of(Host& host, const Desired& desired);

}  // namespace codops::ops
