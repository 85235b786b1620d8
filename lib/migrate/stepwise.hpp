#pragma once
// A script that runs statement by statement, each recorded with its progress. One class, a file for each phase: runner_stepwise.cpp (the way
// through the script, in transactions), runner_alone.cpp (what can't run in one: concurrent builds), runner_progress.cpp (what is recorded).
#include "lib/migrate/runner.hpp"
#include "lib/migrate/session_memory.hpp"

namespace codops::migrate {

class Stepwise {
 public:
  // `taken_back`: of a down script, what is recorded at its end.
  Stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier, std::string taken_back);
  void run();

 private:
  io::postgres::Connection& connection() { return session_.connection(); }
  const Parsed& parsed() const { return script_.parsed[next_]; }
  std::string_view sql() const { return script_.statements[next_].sql(script_.text); }

  // --- the way through the script
  void open();
  void set_again(std::size_t from, std::size_t to);
  void one();
  void in_own_transaction();
  bool own_transaction_again(const io::postgres::DatabaseError& error);
  void in_transaction();
  // `before`: text of codops' own in the same message, which ends with a space or is empty.
  void send(std::string_view before = {});

  // --- outside of any transaction: what happened and what is recorded can differ after a crash, hence a mark before
  void alone();
  void build_index(bool resumed);
  bool was_built();
  void drop_new_invalid();
  void drop_reindex_leftovers(std::string_view why);
  void drop_index(const std::string& name);
  void refused(const io::postgres::DatabaseError& error);
  bool already_done(const io::postgres::DatabaseError& error) const;
  // A concurrent build that is cut off by a limit, the server's own too, leaves an invalid index behind: the script's limits are lifted, with the
  // mark or by themselves, and put back.
  void lift_limits();
  void put_limits_back();

  // --- what is recorded
  std::string recording(const Progress& progress) const;
  std::string own_rights() const;
  std::string recording_alone(const Progress& progress) const;
  void write_inside(const Progress& progress);
  void write(const Progress& progress);
  void run_recording(const std::string& text);
  [[noreturn]] void not_recorded(const io::postgres::DatabaseError& error);
  void commit(const std::string& text);
  void mark_started();
  void save();
  void advance();
  Progress after_this() const;
  void remember(const io::postgres::Rows& looked);
  void read_back();
  [[noreturn]] void fail_here(const io::postgres::DatabaseError& error);

  Session& session_;
  const History& history_;
  const Migration& migration_;
  const Script& script_;
  std::string taken_back_;
  bool continues_;         // an attempt that stopped
  bool recorded_{false};   // the history has this attempt
  Progress progress_;
  Attempt attempt_;
  std::size_t next_{};
  SessionMemory memory_;
  std::string limits_back_;  // text that puts the script's own limits back; empty: they are not lifted
  bool runs_transactions_{false}, changes_user_{false}, own_block_{false};
  std::optional<Contention> contention_;  // of the file's own transaction that is open
  std::vector<std::string> blockers_;
};

}  // namespace codops::migrate
