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
  // A single history entry without a plan ("down").
  void record(release::HistoryEntry entry, const Limits& limits);

 private:
  void recover(RecoveryWay way, const Limits& limits);
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
  bool signalled_{false};  // the run ended by a signal
  std::string token_;
  Observed observed_;
  Recovery recovery_;
};

}  // namespace codops::ops::kubernetes
