#pragma once
// One mutating command on a Docker host: the lock, recovery of what an earlier run left, the journalled run, the record.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/actions.hpp"
#include "lib/ops/bring_back.hpp"
#include "lib/ops/deploy_plan.hpp"
#include "lib/ops/host.hpp"
#include "lib/ops/run_result.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops {

class Transaction {
  static constexpr Milliseconds record_time{10'000};

 public:
  // Takes the lock and recovers, saying so through the host's reporter. `command`: "deploy production v1.0.0". `meanwhile` runs beside the
  // first look at what there is, under the lock: for reading what does not hang on it.
  Transaction(Host& host, std::string command, const release::AcquireOptions& lock, const Limits& limits,
              RecoveryWay way = RecoveryWay::in_passing, const std::function<void()>& meanwhile = {});
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
  // A history entry of a run that is not run()'s, with what is to be written in the same breath.
  void record(release::HistoryEntry entry, const Limits& limits, std::vector<target::StateStore::File> more = {});
  void release_lock();

  // Of a run under this lock, for who journals steps without run().
  RunContext context(const release::Release& next, const std::optional<release::Release>& current, const Desired& desired);
  plan::Journal journal(std::string run, int next_seq, int last_written = 0);
  WallTime now();
  void write(const std::vector<target::StateStore::File>& files, const Limits& limits) { lock_->write(files, limits); }
  // What makes a run known, which a signal does not cut off.
  void write_whole(const std::vector<target::StateStore::File>& files, const Limits& limits) { lock_->write_whole(files, limits); }

 private:
  // The end of a run: on a full disk into the room that is kept for it, without evidence (false). By default within a few seconds, whatever
  // was asked meanwhile.
  bool write_end(std::vector<target::StateStore::File> files, const Limits& limits = Limits{}.within(record_time));
  // post_deploy before the record, on_failure after it; what fails is said, and changes nothing.
  void run_hooks(plan::Journal& run_journal, RunResult& result, const std::string& how, const Limits& limits);
  // The hooks of a run that had ended, and died within them: that is said, once.
  void settle_hooks(const Limits& limits);
  // A run that had done all its steps and died before its record, within its hooks perhaps.
  void record_finished(const plan::Record& found, const plan::Plan& plan, plan::Journal run_journal, const Limits& limits);
  // For what a recovery adds.
  plan::Journal journal_after(const plan::Record& record);
  void recover(RecoveryWay way, const Limits& limits);
  void recover_down(const plan::Record& found, const plan::Plan& plan, std::size_t last, plan::Journal journal, RecoveryWay way, const Limits& limits);
  // A `maintenance` that died between its first and its last word: the front is led to the application.
  void settle_maintenance(const Limits& limits);
  // A container that somebody renamed is in the way of the one that would be made in its place.
  void restore_names(const Limits& limits);
  // Networks and restart policies of what serves, which recovery and every plan take for given.
  void restore_surroundings(const Limits& limits);
  // The history has the end of the newest run, its journal does not: the disk was full between the two.
  void close_journal(const Limits& limits);
  // After an undo: what served before it and was stopped or removed by somebody meanwhile runs again; returns what could not be had.
  std::string mend_after_undo(RunContext& context, const std::function<bool(const std::string& container)>& ran, Booting booting, const Limits& limits);

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
