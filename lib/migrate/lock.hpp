#pragma once
// The advisory lock that the layout's own tool takes, polled: a runner that blocks inside pg_advisory_lock holds a
// snapshot, and a concurrent index build of the holder would wait for it: a deadlock.
#include <string>
#include <vector>

#include "lib/base/reporter.hpp"
#include "lib/io/postgres.hpp"

namespace codops::migrate {

// A server process, as the one is told who waits for it: `pid 4182 (prisma, 3 min, idle in transaction): ALTER TABLE …`.
std::vector<std::string> describe_backends(io::postgres::Connection& connection, const std::vector<std::string>& pids, const Limits& limits);

class AdvisoryLock {
 public:
  // Taken twice (a session's locks are counted), so that Session::commit_check() can give one back and take it again: whether it is held is
  // known without a look at pg_locks, which takes longer than all else in that message.
  // Waits for at most `wait`; the holder is reported once it is known that it has to. Failure{locked} names it (P1002).
  static AdvisoryLock take(io::postgres::Connection& connection, std::int64_t id, Milliseconds wait, Reporter& reporter, const Limits& limits);
  AdvisoryLock() = default;  // holds nothing
  AdvisoryLock(AdvisoryLock&& other) noexcept;
  AdvisoryLock& operator=(AdvisoryLock&& other) noexcept;
  ~AdvisoryLock();

 private:
  void release() noexcept;
  io::postgres::Connection* connection_{};
  std::int64_t id_{};
  int backend_{};
};

}  // namespace codops::migrate
