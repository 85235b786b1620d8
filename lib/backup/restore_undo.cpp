// Back to what a restore has replaced.
#include <fmt/format.h>

#include "lib/backup/half_restored.hpp"
#include "lib/backup/passed.hpp"
#include "lib/backup/redis_part.hpp"
#include "lib/backup/restore_steps.hpp"

namespace codops::backup {

using io::postgres::Connection;

namespace {

std::string further_back(const Subject& subject, const std::string& stamp) {
  return fmt::format("to go back to before that one: codops restore {} {} --undo{}", subject.environment, stamp, subject.options);
}

// `newest` of what is still there, and the stamp of what could be put back: there may have been others since, whose own is gone.
void refuse_passed(const Subject& subject, Connection& server, const std::string& newest, const std::string& stamp, const Limits& limits) {
  const auto passed = parse_passed(whole_comment_of(server, newest, limits));
  if (!passed) return;
  const auto& live = subject.database.database;
  // Redis or files of that very restore: alone they would not belong to the database that is live.
  if (stamp == passed->by && passed->database) {
    throw Failure{Exit::usage, fmt::format("of what the last restore of \"{}\", that of {}, replaced, the database is gone: \"…_{}_{}\" is not there", live, stamp_text(stamp), database_before, stamp),
                  fmt::format("to put back only the rest of it: codops restore {} {} --undo{}", subject.environment, stamp, subject.options)};
  }
  if (stamp == passed->by || (stamp != stamp_in(newest) && stamp > passed->by)) return;
  if (passed->undo) {
    throw Failure{Exit::usage, fmt::format("the last restore of \"{}\" is undone already, since {}; the one before it is of {}", live, stamp_text(passed->by), stamp_text(stamp)), further_back(subject, stamp)};
  }
  throw Failure{Exit::usage, fmt::format("what the last restore of \"{}\", that of {}, replaced is gone: \"…_{}_{}\" is not there; the one before it is of {}", live, stamp_text(passed->by), database_before, passed->by, stamp_text(stamp)),
                further_back(subject, stamp)};
}

}  // namespace

Undoable find_undoable(const Subject& subject, const std::string& stamp, Connection& server, const Limits& limits) {
  const auto& live = subject.database.database;
  const auto before = all_put_aside(server, live, database_before, limits), undone = all_put_aside(server, live, database_undone, limits);
  const auto redis = subject.redis ? redis_put_aside(*subject.redis, limits) : std::string{};
  std::vector<std::pair<const FilesPlace*, std::string>> files;
  for (const auto& place : subject.files) files.emplace_back(&place, files_put_aside(place, limits));

  Undoable found;
  found.stamp = stamp;
  // One that did not come to its end, or whose undo did not.
  const auto half = half_restored(server, live, limits);
  if (half && !half->stamp.empty() && (stamp.empty() || stamp == half->stamp)) {
    found.stamp = half->stamp;
    found.half = true;
  } else if (stamp.empty()) {
    found.stamp = std::max(before.empty() ? std::string{} : stamp_in(before.front()), redis);
    for (const auto& [place, of] : files) found.stamp = std::max(found.stamp, of);
    // What was done last was an undo: asked once more by a script or by mistake, it must not go further back by itself.
    if (!found.stamp.empty() && !undone.empty() && stamp_in(undone.front()) > found.stamp) {
      throw Failure{Exit::usage, fmt::format("the last restore of \"{}\" is undone already, since {} (what it had brought is \"{}\"); the one before it is of {}", live, stamp_text(stamp_in(undone.front())),
                                             undone.front(), stamp_text(found.stamp)),
                    further_back(subject, found.stamp)};
    }
    if (!before.empty()) refuse_passed(subject, server, before.front(), found.stamp, limits);
  }
  // Only what that one restore had replaced.
  for (const auto& name : before) {
    if (stamp_in(name) == found.stamp) found.aside = name;
  }
  found.redis = !redis.empty() && redis == found.stamp;
  for (const auto& [place, of] : files) {
    if (!of.empty() && of == found.stamp) found.files.push_back(place);
  }
  if (!found.aside.empty() || found.redis || !found.files.empty() || found.half) return found;
  const auto which = stamp.empty() ? std::string{"no restore of \"" + live + "\" can be undone: nothing was put aside"} : fmt::format("no restore of {} put anything aside that could be brought back", stamp);
  throw Failure{Exit::usage, which, "restore a backup instead: codops restore " + subject.environment + " BACKUP" + subject.options};
}

Undoable find_undoable(const Subject& subject, const std::string& stamp, const Limits& limits) {
  auto server = open_beside(subject.database, subject.database.database, limits);
  return find_undoable(subject, stamp, server, limits);
}

namespace {

// What changes places, one after the other: a failure in between is told with what is done, and what not.
class Undoing {
 public:
  Undoing(const Subject& subject, Connection& server, const Undoable& found, const Clock& clock, const Limits& limits)
      : subject_{subject}, server_{server}, found_{found}, clock_{clock}, limits_{limits}, live_{subject.database.database} {}

  std::string run(Restored& result) {
    result.source = found_.stamp;
    if (found_.half) result.database = live_;  // as much as there was to put back
    const bool exists = database_exists(server_, live_, limits_);
    if (!found_.aside.empty()) comment_ = comment_of(server_, found_.aside, limits_);
    else if (exists) comment_ = comment_of(server_, live_, limits_);
    const auto count = (found_.aside.empty() ? 0U : 1U) + (found_.redis ? 1U : 0U) + found_.files.size();
    const auto now = clock_.now();
    if (count > 0) passed_ = pass_by(server_, live_, {stamp_of(now), true}, found_.aside, limits_).sql;
    const auto meanwhile = count > 1 ? to_comment({found_.stamp, comment_, found_.stamp, true}) : comment_;
    std::string said;
    if (!found_.aside.empty()) said = exists ? swap(meanwhile, now, result) : bring_back(meanwhile, result);
    else if (count > 1 && exists) note(meanwhile);
    if (found_.redis) {
      part("Redis", [&] { undo_redis(*subject_.redis, found_.stamp, limits_); });
      result.kept.emplace_back("Redis");
    }
    for (const auto* place : found_.files) {
      part(place->name, [&] { undo_files(*place, found_.stamp, limits_); });
      result.kept.push_back(place->name);
    }
    if (found_.aside.empty() && !passed_.empty()) server_.run(passed_, limits_);
    if (half_restored(server_, live_, limits_)) note(comment_);
    if (!said.empty()) return said;
    return result.kept.empty() ? std::string{"was done already"} : fmt::format("{} as before", fmt::join(result.kept, ", "));
  }

 private:
  std::string swap(const std::string& meanwhile, WallTime now, Restored& result) {
    // Its name must not look like something that can be swapped in once more.
    result.aside = side_name(live_, database_undone, now);
    for (const auto& slot : slots(server_, live_, limits_)) result.notes.push_back(slot.told_after(live_, result.aside));
    mark(server_, found_.aside, {live_, false, false, whole_comment_of(server_, found_.aside, limits_)}, limits_);
    swap_databases(server_, {live_, found_.aside, result.aside, meanwhile, false, passed_}, limits_);
    database_is_back(result);
    return fmt::format("\"{}\" is live again, what was live is \"{}\"", found_.aside, result.aside);
  }

  // Somebody has dropped what the restore brought.
  std::string bring_back(const std::string& meanwhile, Restored& result) {
    end_sessions(server_, found_.aside, limits_);
    const auto name = io::postgres::quote_identifier(live_);
    server_.run(fmt::format("BEGIN; ALTER DATABASE {0} RENAME TO {1}; COMMENT ON DATABASE {1} IS {2};{3} COMMIT", io::postgres::quote_identifier(found_.aside), name,
                            meanwhile.empty() ? "NULL" : io::postgres::quote_literal(meanwhile), passed_), limits_);
    database_is_back(result);
    return fmt::format("\"{}\" is live again, there was none", found_.aside);
  }

  void database_is_back(Restored& result) {
    result.source = found_.aside;
    result.database = live_;
    done_.push_back("\"" + live_ + "\"");
  }

  void part(const std::string& name, const std::function<void()>& work) {
    try {
      work();
    } catch (const Failure& failure) {
      if (!done_.empty()) {
        throw Failure{Exit::undo_failed, fmt::format("{}; {} {} again what was before the restore, {} is not: what is live does not belong together", failure.message(), fmt::join(done_, ", "), done_.size() > 1 ? "are" : "is", name),
                      fmt::format("once that is mended: codops restore {} --undo{}", subject_.environment, subject_.options)};
      }
      if (failure.code() != Exit::undo_failed && !found_.half) take_note_back();
      throw;
    }
    done_.push_back(name);
  }

  // A role that may not comment on the database puts Redis and files back all the same.
  void note(const std::string& comment) {
    try {
      set_comment(server_, live_, comment, Limits{}.within(Milliseconds{20'000}));
    } catch (const io::postgres::DatabaseError& error) {
      if (error.lost()) throw;
    }
  }

  void take_note_back() noexcept try {
    note(comment_);
  } catch (const std::exception&) {
    // It says more than is true; the undo that it asks for takes it away.
  }

  const Subject& subject_;
  Connection& server_;
  const Undoable& found_;
  const Clock& clock_;
  const Limits& limits_;
  std::string live_, comment_, passed_;
  std::vector<std::string> done_;
};

}  // namespace

Restored undo_restore(const Subject& subject, const std::string& stamp, const RestoreHooks& hooks, const Clock& clock, Reporter& reporter,
                      const Limits& limits) {
  const auto started = clock.steady();
  const auto& live = subject.database.database;
  auto server = open_beside(subject.database, live, limits);
  lock_restore(server, live, limits);
  for (const auto& note : mend_restores(server, live, limits)) reporter.warn(note);
  for (const auto& place : subject.files) mend_files_anywhere(place, limits);
  const auto found = find_undoable(subject, stamp, server, limits);
  if (!found.aside.empty()) {
    for (const auto& name : {live, found.aside}) require_possible(preflight_swap(server, name, limits), "the restore can't be undone");
  }
  Restored result;  // its database is named only if it was swapped
  Steps steps{reporter, clock};
  steps.step("swap", [&] {
    ApplicationHeld stopped{hooks};
    const auto from = clock.steady();
    if (hooks.stop) stopped.stop(limits);
    auto said = Undoing{subject, server, found, clock, limits}.run(result);
    result.unwell = stopped.start_or_tell(limits);
    result.downtime = std::chrono::duration_cast<Milliseconds>(clock.steady() - from);
    return said;
  });
  if (hooks.health && result.unwell.empty()) steps.step("health", [&] {
    result.unwell = hooks.health(limits);
    return std::string{result.unwell.empty() ? "well" : "unwell"};
  });
  result.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
  return result;
}

}  // namespace codops::backup
