#include <fmt/format.h>

#include "lib/backup/half_restored.hpp"
#include "lib/backup/redis_part.hpp"
#include "lib/backup/restore_steps.hpp"

namespace codops::backup {

using io::postgres::Connection;

Undoable find_undoable(const Subject& subject, Connection& server, const Limits& limits) {
  const auto& live = subject.database.database;
  const auto aside = put_aside(server, live, limits);
  const auto redis = subject.redis ? redis_put_aside(*subject.redis, limits) : std::string{};
  Undoable found;
  found.stamp = std::max(aside ? aside->substr(aside->size() - stamp_length) : std::string{}, redis);
  std::vector<std::pair<const FilesPlace*, std::string>> files;
  for (const auto& place : subject.files) {
    files.emplace_back(&place, files_put_aside(place, limits));
    found.stamp = std::max(found.stamp, files.back().second);
  }
  if (found.stamp.empty()) throw Failure{Exit::usage, fmt::format("no restore of \"{}\" can be undone: nothing was put aside", live), "another backup: codops backup list " + subject.environment};
  // Only what that one restore had replaced.
  if (aside && aside->ends_with(found.stamp)) found.aside = *aside;
  found.redis = redis == found.stamp;
  for (const auto& [place, stamp] : files) {
    if (stamp == found.stamp) found.files.push_back(place);
  }
  return found;
}

Undoable find_undoable(const Subject& subject, const Limits& limits) {
  auto server = Connection::open(beside(subject.database, subject.database.database), limits);
  return find_undoable(subject, server, limits);
}

Restored undo_restore(const Subject& subject, const RestoreHooks& hooks, const Clock& clock, Reporter& reporter,
                      const Limits& limits) {
  const auto started = clock.steady();
  const auto& live = subject.database.database;
  auto server = Connection::open(beside(subject.database, live), limits);
  lock_restore(server, live, limits);
  for (const auto& note : mend_restores(server, live, limits)) reporter.warn(note);
  const auto found = find_undoable(subject, server, limits);
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
      result.aside = side_name(live, "undone", clock.now());
      const auto comment = comment_of(server, found.aside, limits);
      mark(server, found.aside, {live, false, false, comment}, limits);
      swap_databases(server, {live, found.aside, result.aside, comment, false}, limits);
      result.source = found.aside;
      result.database = live;
      said = fmt::format("\"{}\" is live again, what was live is \"{}\"", found.aside, result.aside);
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
