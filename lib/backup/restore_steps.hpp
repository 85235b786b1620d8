#pragma once
// What restores of a whole database and of single tables share. Only for sources of lib/backup.
#include <string>

#include "lib/backup/rescue.hpp"
#include "lib/backup/restore.hpp"
#include "lib/backup/swap.hpp"
#include "lib/base/failure.hpp"

namespace codops::backup {

// Renaming a database takes a session in another one: "postgres", or "template1" where that is the one, is not there or lets nobody in.
io::postgres::Connection open_beside(const io::postgres::Target& target, const std::string& database, const Limits& limits);
io::postgres::Target in_database(const io::postgres::Target& target, const std::string& name);

// Held by the session: one restore of a database at a time. Waits for a session that is ending; Failure{locked} names its holder.
void lock_restore(io::postgres::Connection& server, const std::string& live, const Limits& limits);

// At once. A session that holds it may take it again, and must give it back as often.
bool try_lock_restore(io::postgres::Connection& server, const std::string& live, const Limits& limits);
void unlock_restore(io::postgres::Connection& server, const std::string& live, const Limits& limits);

// Text of type money says what it does by lc_monetary alone: in that database this role's sessions read it as it was written, until
// they are told to forget it. False: they do anyway, or the server has no such locale, which matters to columns of that type only.
bool speak_money(io::postgres::Connection& server, const std::string& database, const std::string& lc_monetary, const Limits& limits);
void forget_money(io::postgres::Connection& server, const std::string& database, const Limits& limits);

// The parts that fill a database: archive and rows, else SQL. Failure{data}: it has none.
std::vector<const Part*> database_parts(const Manifest& manifest);

// --into makes a database: nullopt unless there is one of that name.
std::optional<Failure> into_taken(const RestoreRequest& request, io::postgres::Connection& server, const Limits& limits);

// A table by what somebody typed: "orders", "public.orders" or "\"a.b\".c". A name without a schema must be of one schema only, what an
// earlier restore laid beside the live tables left aside. Its table_key(); Failure{usage}: none, or several. `see`: a hint.
struct TableName {
  std::string schema, name;
};
std::string find_table(const std::string& asked, const std::vector<TableName>& tables, const std::string& see);

class Steps {
 public:
  Steps(Reporter& reporter, const Clock& clock) : reporter_{reporter}, clock_{clock} {}

  // `work` returns what to say when it is done.
  void step(const std::string& name, const std::function<std::string()>& work);

 private:
  void report(Event::Kind kind, const std::string& name, std::string text, std::optional<Milliseconds> took);
  Reporter& reporter_;
  const Clock& clock_;
};

// The application: started again whatever happens, once it was told to stop.
class ApplicationHeld {
 public:
  explicit ApplicationHeld(const RestoreHooks& hooks) : hooks_{hooks} {}
  ApplicationHeld(const ApplicationHeld&) = delete;
  ApplicationHeld& operator=(const ApplicationHeld&) = delete;
  ~ApplicationHeld();
  void stop(const Limits& limits);
  // Where the swap is done: why it could not be started, or nothing. Thrown are a signal and the deadline; then it is tried once more.
  std::string start_or_tell(const Limits& limits);

 private:
  const RestoreHooks& hooks_;
  bool active_{};
};

// The database that is being filled: dropped unless it was handed over.
class Fresh {
 public:
  Fresh(Rescue& rescue, std::string name) : rescue_{rescue}, name_{std::move(name)} {}
  Fresh(const Fresh&) = delete;
  Fresh& operator=(const Fresh&) = delete;
  ~Fresh();
  // From here on it is ours to drop, also when we don't live to hear that it was made. Failure{failed}: somebody else has made it.
  void create(io::postgres::Connection& server, const DatabaseShape& shape, const Limits& limits);
  void keep() { made_ = false; }
  const std::string& name() const { return name_; }

 private:
  Rescue& rescue_;
  std::string name_;
  bool made_{};
};

// The live database, while what it would be told would not stay: writable again unless the swap saw to it.
class ReadOnly {
 public:
  // `fresh` has the mark that says so to whoever comes after our death.
  ReadOnly(Rescue& rescue, std::string database, Fresh& fresh) : rescue_{rescue}, database_{std::move(database)}, fresh_{fresh} {}
  ReadOnly(const ReadOnly&) = delete;
  ReadOnly& operator=(const ReadOnly&) = delete;
  ~ReadOnly();
  void begin(io::postgres::Connection& server, const Limits& limits);
  void ended() { active_ = false; }
  bool active() const { return active_; }

 private:
  Rescue& rescue_;
  std::string database_;
  Fresh& fresh_;
  bool active_{};
};

}  // namespace codops::backup
