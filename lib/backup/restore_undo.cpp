#include <fmt/format.h>

#include "lib/backup/half_restored.hpp"
#include "lib/backup/redis_part.hpp"
#include "lib/backup/restore_steps.hpp"

namespace codops::backup {

using io::postgres::Connection;

Undoable find_undoable(const Subject& subject, const std::string& stamp, Connection& server, const Limits& limits) {
  const auto& live = subject.database.database;
  const auto before = all_put_aside(server, live, database_before, limits), undone = all_put_aside(server, live, database_undone, limits);
  const auto redis = subject.redis ? redis_put_aside(*subject.redis, limits) : std::string{};
  std::vector<std::pair<const FilesPlace*, std::string>> files;
  for (const auto& place : subject.files) files.emplace_back(&place, files_put_aside(place, limits));

  Undoable found;
  found.stamp = stamp;
  if (stamp.empty()) {
    found.stamp = std::max(before.empty() ? std::string{} : stamp_in(before.front()), redis);
    for (const auto& [place, of] : files) found.stamp = std::max(found.stamp, of);
    // What was done last was an undo: asked once more by a script or by mistake, it must not go further back by itself.
    if (!found.stamp.empty() && !undone.empty() && stamp_in(undone.front()) > found.stamp) {
      throw Failure{Exit::usage, fmt::format("the last restore of \"{}\" is undone already, since {} (what it had brought is \"{}\"); the one before it is of {}", live, stamp_text(stamp_in(undone.front())),
                                             undone.front(), stamp_text(found.stamp)),
                    fmt::format("to go back to before that one: codops restore {} {} --undo{}", subject.environment, found.stamp, subject.options)};
    }
  }
  // Only what that one restore had replaced.
  for (const auto& name : before) {
    if (stamp_in(name) == found.stamp) found.aside = name;
  }
  found.redis = !redis.empty() && redis == found.stamp;
  for (const auto& [place, of] : files) {
    if (!of.empty() && of == found.stamp) found.files.push_back(place);
  }
  if (!found.aside.empty() || found.redis || !found.files.empty()) return found;
  const auto which = stamp.empty() ? std::string{"no restore of \"" + live + "\" can be undone: nothing was put aside"} : fmt::format("no restore of {} put anything aside that could be brought back", stamp);
  throw Failure{Exit::usage, which, "restore a backup instead: codops restore " + subject.environment + " BACKUP" + subject.options};
}

Undoable find_undoable(const Subject& subject, const std::string& stamp, const Limits& limits) {
  auto server = open_beside(subject.database, subject.database.database, limits);
  return find_undoable(subject, stamp, server, limits);
}

Restored undo_restore(const Subject& subject, const std::string& stamp, const RestoreHooks& hooks, const Clock& clock, Reporter& reporter,
                      const Limits& limits) {
  const auto started = clock.steady();
  const auto& live = subject.database.database;
  auto server = open_beside(subject.database, live, limits);
  lock_restore(server, live, limits);
  for (const auto& note : mend_restores(server, live, limits)) reporter.warn(note);
  const auto found = find_undoable(subject, stamp, server, limits);
  if (!found.aside.empty()) {
    for (const auto& name : {live, found.aside}) require_possible(preflight_swap(server, name, limits), "the restore can't be undone");
  }
  Restored result;  // its database is named only if it was swapped
  result.source = found.stamp;
  Steps steps{reporter, clock};
  steps.step("swap", [&] {
    ApplicationHeld stopped{hooks};
    const auto from = clock.steady();
    if (hooks.stop) stopped.stop(limits);
    std::string said;
    if (!found.aside.empty()) {
      // Its name must not look like something that can be swapped in once more.
      result.aside = side_name(live, database_undone, clock.now());
      const auto comment = comment_of(server, found.aside, limits);
      if (database_exists(server, live, limits)) {
        for (const auto& slot : slots(server, live, limits)) result.notes.push_back(slot.told_after(live, result.aside));
        mark(server, found.aside, {live, false, false, comment}, limits);
        swap_databases(server, {live, found.aside, result.aside, comment, false}, limits);
      } else {
        // Somebody has dropped what the restore brought.
        result.aside.clear();
        end_sessions(server, found.aside, limits);
        server.run(fmt::format("ALTER DATABASE {} RENAME TO {}", io::postgres::quote_identifier(found.aside), io::postgres::quote_identifier(live)), limits);
      }
      result.source = found.aside;
      result.database = live;
      said = result.aside.empty() ? fmt::format("\"{}\" is live again, there was none", found.aside) : fmt::format("\"{}\" is live again, what was live is \"{}\"", found.aside, result.aside);
    }
    if (found.redis) {
      undo_redis(*subject.redis, found.stamp, limits);
      result.kept.emplace_back("Redis");
    }
    for (const auto* place : found.files) {
      undo_files(*place, found.stamp, limits);
      result.kept.push_back(place->name);
    }
    if (const auto half = half_restored(server, live, limits)) set_comment(server, live, half->comment, limits);
    stopped.start(limits);
    result.downtime = std::chrono::duration_cast<Milliseconds>(clock.steady() - from);
    return said.empty() ? fmt::format("{} as before", fmt::join(result.kept, ", ")) : said;
  });
  if (hooks.health) steps.step("health", [&] {
    result.unwell = hooks.health(limits);
    return std::string{result.unwell.empty() ? "well" : "unwell"};
  });
  result.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
  return result;
}

}  // namespace codops::backup
