#pragma once
// One mutating command on a cluster: the Lease, recovery of what an earlier run left, the journalled run, the record.
#include <memory>
#include <optional>
#include <string>

#include "lib/ops/kubernetes/observed.hpp"
#include "lib/ops/kubernetes/plan.hpp"
#include "lib/ops/kubernetes/run_context.hpp"
#include "lib/ops/run_result.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops::kubernetes {

class Transaction {
 public:
  // Takes the lock and recovers, saying so through the reporter. `command`: "deploy production v1.0.0".
  Transaction(Cluster& cluster, std::string command, Milliseconds lock_wait, const Limits& limits, RecoveryWay way = RecoveryWay::best);
  ~Transaction();  // gives the lock back
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  Observed& observed() { return observed_; }
  const std::string& token() const { return token_; }
  const Recovery& recovery() const { return recovery_; }
  void still_holding(const Limits& limits) { lock_->write({}, limits); }

  RunResult run(const Planned& planned, Companions companions, bool force_conflicts, const Limits& limits);
  // Removes releases, journals and evidence that nobody needs. Never fails the command: warns.
  void prune(const Limits& limits);
  // Removes these as a run of its own: one that dies is finished by the next command. take_down.cpp.
  void take_down(const std::vector<kube::Object>& gone, const Limits& limits);

 private:
  void recover(RecoveryWay way, const Limits& limits);
  void recover_down(const plan::Record& found, const plan::Plan& plan, plan::Journal journal, RecoveryWay way, const Limits& limits);
  void finish_down(const plan::Plan& plan, plan::Journal journal, WallTime started, const std::string& message, const Limits& limits);
  void record(release::HistoryEntry entry, const Limits& limits, std::vector<target::StateStore::File> more = {});
  RunContext context(const release::Release& next, const std::optional<release::Release>& current, const std::vector<kube::Object>& objects,
                     const std::vector<kube::Object>& before) const;
  plan::Journal journal(std::string run, int next_seq);
  // post_deploy before the record, on_failure after it; what fails is said, and changes nothing.
  void run_hooks(plan::Journal& run_journal, RunResult& result, const std::string& how, const Limits& limits);
  void release_lock();

  Cluster& cluster_;
  target::LockOwner owner_;
  std::unique_ptr<release::HeldLock> lock_;
  std::chrono::steady_clock::time_point began_;
  Cancel cancel_;          // of the command, beyond its run: recovery and planning too
  bool signalled_{false};  // the run ended by a signal
  std::string token_;
  Observed observed_;
  Recovery recovery_;
};

}  // namespace codops::ops::kubernetes
