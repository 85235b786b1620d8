#pragma once
// One run's use of a connection: its settings, its lock, who blocks it, and how it comes back when the connection breaks.
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/migrate/history.hpp"
#include "lib/migrate/lock.hpp"
#include "lib/migrate/migrate.hpp"

namespace codops::migrate {

// Samples pg_blocking_pids() on a connection of its own, which it opens only when the run lasts longer than an instant.
class BlockerWatch {
 public:
  BlockerWatch(io::postgres::Target target, int backend, Reporter& reporter);
  ~BlockerWatch();
  void follow(int backend) { backend_ = backend; }
  // Until told otherwise whoever stands in the way for a second is told at once, behind `what`; empty: not.
  void tell(std::string what);
  // Those seen since the last call, described; then forgotten.
  std::vector<std::string> take();

 private:
  void sample();
  void notice(const std::vector<std::string>& pids, std::vector<std::string> described);
  io::postgres::Target target_;
  Reporter& reporter_;
  std::atomic<int> backend_;
  CancelSource stop_;
  std::mutex mutex_;
  std::vector<std::string> seen_;
  std::string what_;
  std::vector<std::string> waited_for_;  // pids
  std::chrono::steady_clock::time_point waits_since_{};
  bool told_{false};
  std::thread thread_;
};

class Session {
 public:
  Session(io::postgres::Connection& connection, const Options& options, Reporter& reporter, const Limits& limits);

  io::postgres::Connection& connection() { return connection_; }
  const Options& options() const { return options_; }
  Reporter& reporter() { return reporter_; }
  const Limits& limits() const { return limits_; }

  void lock(const History& history);
  // Session settings as every script finds them; what an earlier script has SET is undone. Ends with ';'.
  std::string fresh_settings(const History& history) const;
  // What begins a script's transaction: text whose only row is the server's clock. It can stand behind an earlier one's COMMIT in
  // the same message, which saves a round trip; opened() then takes that row.
  std::string opening(const History& history) const;
  void opened(std::string clock) { opened_ = std::move(clock); }
  // Inside a fresh transaction after this, the one that opened() spoke of or a new one; the clock's text.
  std::string open(const History& history);
  // Inside a transaction, before it commits: fails when this backend no longer holds the migration lock, because a script gave
  // it away (pg_advisory_unlock_all) or a pooler put another backend there; in a replay, when roles, databases or the like were changed.
  // Ends with ';' or is empty.
  std::string commit_check() const;
  std::string timeouts(std::string_view set) const;  // `set`: "SET", or "SET LOCAL" inside a transaction; ends with ';'
  // Text that lifts lock_timeout and statement_timeout and whose only rows are what they were; of those, text that puts them back.
  static std::string lifting();
  static std::string limits_of(const io::postgres::Rows& rows);
  // For a statement that no limit ends: while this lives, who it waits for is told as it happens.
  class Tells {
   public:
    Tells(Session& session, std::string what);
    ~Tells();
    Tells(const Tells&) = delete;
    Tells& operator=(const Tells&) = delete;

   private:
    Session& session_;
  };
  // Transactions commit without waiting for the disk, until false is set. The history is written in the same transactions and the
  // log keeps their order, so a crash of the server loses script and row together, the last ones first; whatever commits
  // with `false`, or make_durable(), brings all of them to the disk.
  void set_asynchronous(bool yes) { asynchronous_ = yes; }
  std::string local_durability() const;  // inside a transaction; ends with ';' or is empty
  // After a run that stopped early: what has been reported as applied is on the disk.
  void make_durable() noexcept;
  // A new connection to the same target with the lock again: it comes only once the old backend is gone.
  void reconnect(const History& history);
  // Back to no transaction, whatever the limits say.
  void roll_back() noexcept;
  // Runs text that records what happened, even when the run was cancelled or its deadline passed.
  void record(const std::string& sql);
  // Who stood in the way since the last call, for a message.
  std::vector<std::string> blockers();
  bool checks_client() const { return checks_client_; }

 private:
  void take_locks(const History& history, Milliseconds wait, const Limits& limits);
  io::postgres::Connection& connection_;
  const Options& options_;
  Reporter& reporter_;
  const Limits& limits_;
  std::vector<AdvisoryLock> locks_;
  std::vector<std::int64_t> lock_ids_;
  bool checks_client_{false};
  bool asynchronous_{false};
  std::optional<std::string> opened_;
  std::unique_ptr<BlockerWatch> watch_;
};

// Is that one of commit_check()'s errors?
bool changed_the_server(const io::postgres::DatabaseError& error);
bool lost_the_lock(const io::postgres::DatabaseError& error);

// May pass when it is tried again: lock timeout, deadlock, serialization failure.
bool is_contention(const io::postgres::DatabaseError& error);

}  // namespace codops::migrate
