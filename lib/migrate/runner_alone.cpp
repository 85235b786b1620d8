#include <fmt/format.h>

#include <algorithm>

#include "lib/migrate/runner_indexes.hpp"
#include "lib/migrate/stepwise.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

using Kind = Parsed::Kind;

void Stepwise::alone() {
  const bool resumed = progress_.started;
  // No limit ends these waits: who is waited for is told meanwhile.
  const Session::Tells tells{session_, fmt::format("statement {} of \"{}\"", next_ + 1, migration_.name)};
  try {
    if (parsed().kind == Kind::create_index && parsed().concurrently) {
      build_index(resumed);
    } else {
      const bool reindexes = parsed().kind == Kind::reindex && parsed().concurrently;
      if (reindexes) drop_reindex_leftovers("left by a rebuild that failed: it is dropped");
      mark_started();
      try {
        send();
      } catch (const pg::DatabaseError& error) {
        refused(error);
        if (reindexes && !error.lost()) drop_reindex_leftovers("the rebuild failed: it is dropped");
        if (!resumed || !already_done(error)) throw;
        session_.reporter().note(fmt::format("statement {} of \"{}\" had taken effect before: {}", next_ + 1, migration_.name, error.message()));
      }
    }
  } catch (const pg::DatabaseError& error) {
    if (error.lost()) limits_back_.clear();
    put_limits_back();
    throw;
  }
  save();
}

// The server's answer is no: that is no cut-off, and the next run begins this statement anew.
void Stepwise::refused(const pg::DatabaseError& error) {
  if (error.lost()) return;
  progress_.started = false;
  memory_.indexes(std::nullopt);
  progress_.notes = memory_.notes();
}

void Stepwise::lift_limits() {
  if (!limits_back_.empty()) return;
  limits_back_ = session_.limits_of(connection().run(session_.lifting(), session_.limits()).selected);
}

void Stepwise::put_limits_back() {
  if (!limits_back_.empty()) connection().run(std::exchange(limits_back_, {}), session_.limits());
}

void Stepwise::drop_index(const std::string& name) {
  lift_limits();
  connection().run("DROP INDEX CONCURRENTLY IF EXISTS " + name, session_.limits());
}

void Stepwise::drop_reindex_leftovers(std::string_view why) {
  pg::Value target;
  if (!parsed().whole_database) target = quoted_name(parsed().table.empty() ? parsed().object() : parsed().table);
  for (const auto& name : reindex_leftovers(connection(), target, session_.limits())) {
    drop_index(name);
    session_.reporter().note(fmt::format("the index {} is invalid, {}", name, why));
  }
}

// What the attempt that was cut off built is known by not having been there before it. True: it is complete.
bool Stepwise::was_built() {
  if (!memory_.indexes()) return false;
  const auto& before = *memory_.indexes();
  const auto& name = parsed().object().name;
  bool complete = false;
  for (const auto& index : indexes_of(connection(), parsed().table, session_.limits())) {
    if (std::find(before.begin(), before.end(), index.quoted) != before.end() || index.unique != parsed().unique) continue;
    if (name.empty() ? !index.own_name : index.name != name) continue;
    if (index.valid) {
      session_.reporter().note(fmt::format("the index {} was complete already", index.quoted));
      complete = true;
    } else {
      session_.reporter().note(fmt::format("the index {} is invalid, left by the build that was cut off: it is dropped and built again", index.quoted));
      drop_index(index.quoted);
    }
  }
  return complete;
}

void Stepwise::build_index(bool resumed) {
  if (resumed && was_built()) return;
  const auto& name = parsed().object().name;
  std::vector<std::string> there;
  for (auto& index : indexes_of(connection(), parsed().table, session_.limits())) {
    if (!index.valid && !name.empty() && index.name == name) {
      session_.reporter().note(fmt::format("the index \"{}\" is invalid, left by a build that failed: it is dropped and built again", name));
      drop_index(index.quoted);
    } else {
      there.push_back(std::move(index.quoted));
    }
  }
  memory_.indexes(std::move(there));
  mark_started();
  Contention contention{session_};
  for (;;) {
    try {
      return send();
    } catch (const pg::DatabaseError& error) {
      if (error.lost()) throw;
      drop_new_invalid();
      if (contention.again(error)) continue;
      refused(error);
      blockers_ = contention.blockers();
      throw;
    }
  }
}

// Invalid, and not there before the build.
void Stepwise::drop_new_invalid() {
  const auto& before = *memory_.indexes();
  for (const auto& index : indexes_of(connection(), parsed().table, session_.limits())) {
    if (index.valid || std::find(before.begin(), before.end(), index.quoted) != before.end()) continue;
    drop_index(index.quoted);
    session_.reporter().note(fmt::format("the build failed; its invalid index {} was dropped", index.quoted));
  }
}

// After a cut-off: does the error mean that the statement had taken effect? Only of those that make or drop one thing, or not.
bool Stepwise::already_done(const pg::DatabaseError& error) const {
  const auto kind = parsed().kind;
  const bool drops = lower_case(sql().substr(0, 4)) == "drop";
  const bool creates = lower_case(sql().substr(0, 6)) == "create";
  const auto& code = error.sqlstate();
  if (kind == Kind::drop_index) return drops && parsed().objects.size() == 1 && (code == "42704" || code == "42P01");
  if (kind == Kind::database) return (creates && code == "42P04") || (drops && code == "3D000");
  if (kind == Kind::tablespace || kind == Kind::subscription) return (creates && code == "42710") || (drops && code == "42704");
  return false;
}

}  // namespace codops::migrate
