#pragma once
// Running one script: whole in one transaction, or statement by statement.
#include <optional>

#include "lib/base/retry.hpp"

#include "lib/migrate/mode.hpp"
#include "lib/migrate/script_error.hpp"
#include "lib/migrate/session.hpp"

namespace codops::migrate {

// What recording means for this run: applying a migration, or taking one back.
struct Recording {
  std::function<std::string(const Attempt&)> done;                          // inside the script's transaction
  std::function<std::string(const Attempt&, const std::string&)> refused;   // after it was rolled back
};

// Throws MigrationFailed when it was rolled back. False: the server says that this script can't run in a transaction
// (nothing of it stays); then run_stepwise() is the way. `followed`: another script runs whole right after it, whose transaction
// is opened in the same message as this one's COMMIT.
bool run_whole(Session& session, const History& history, const Migration& migration, const Script& script, const Recording& recording, bool followed);

// Continues after `earlier` when an attempt stopped there. Failure{data} when the statements that are done were edited since.
void run_stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier);

// The same for a down script; `taken_back` is recorded at the end.
void run_down_stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier,
                       const std::string& taken_back);

// Waits before another attempt and says who stands in the way; false: no attempts are left.
class Contention {
 public:
  explicit Contention(Session& session);
  bool again(const io::postgres::DatabaseError& error);
  const std::vector<std::string>& blockers() const { return blockers_; }

 private:
  Session& session_;
  Backoff backoff_;
  int attempt_{1};
  std::vector<std::string> blockers_;
};

[[noreturn]] void fail(Session& session, const Migration& migration, const Script& script, std::size_t statement, std::size_t base,
                       const io::postgres::DatabaseError& error, std::string state, const std::vector<std::string>& blockers, std::string hint);

// For a script of which nothing stays.
std::string hint_to_retry(const io::postgres::DatabaseError& error);

// An error of what codops itself says at the end of a script (its row, COMMIT), told as such: its position counts in codops' text, not in
// the script's. `statement` becomes the one of the script that is to blame, as far as that can be told.
io::postgres::DatabaseError recording_error(const Script& script, const History& history, const io::postgres::DatabaseError& error, std::size_t& statement);

// A COPY's inline data as a source.
io::postgres::Source data_of(const Script& script, const Statement& statement);

}  // namespace codops::migrate
