#include "lib/backup/backup.hpp"
#include "lib/backup/half_restored.hpp"
#include "lib/backup/hints.hpp"
#include "lib/backup/redis_part.hpp"
#include "lib/backup/restore_steps.hpp"
#include "lib/store/process_identity.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {

std::unique_ptr<store::StoreLock> lock(Catalogue& catalogue, const Limits& limits) {
  store::LockHolder holder;
  auto held = catalogue.store().try_lock(catalogue.folder() + "/lock", limits, &holder);
  if (!held) {
    const auto who = holder.text();
    throw Failure{Exit::locked, fmt::format("another backup is running in {}{}{}", catalogue.store().describe(), who.empty() ? "" : ": ", who), holder.remedy()};
  }
  return held;
}

void report(Reporter& reporter, Event::Kind kind, std::string text, std::optional<Milliseconds> elapsed = {}) {
  Event event;
  event.kind = kind;
  event.step = "backup";
  event.text = std::move(text);
  event.elapsed = elapsed;
  reporter.report(event);
}

// Removes what was stored unless it was published. Not by the run's own limits: those may be what ended it.
class Unpublished {
 public:
  Unpublished(Catalogue& catalogue, std::string label) : catalogue_{catalogue}, label_{std::move(label)} {}
  Unpublished(const Unpublished&) = delete;
  Unpublished& operator=(const Unpublished&) = delete;
  ~Unpublished() {
    if (published_) return;
    try {
      catalogue_.remove(label_, Limits{}.within(Milliseconds{20'000}));
    } catch (const std::exception&) {
      // It has no manifest: it is not listed, and the next run removes it.
    }
  }
  void published() { published_ = true; }

 private:
  Catalogue& catalogue_;
  std::string label_;
  bool published_{};
};

// What a restore that died had laid beside Redis' databases and the folders of this machine. While one holds its lock it is
// at work, perhaps the very one whose safety backup this is.
void mend_beside(const Subject& subject, io::postgres::Connection& server, Reporter& reporter, const Limits& limits) {
  const auto& live = subject.database.database;
  if (!try_lock_restore(server, live, limits)) return;
  if (subject.redis) {
    for (const auto& note : mend_redis(*subject.redis, limits)) reporter.warn(note);
  }
  for (const auto& place : subject.files) {
    for (const auto& note : mend_files(place, limits)) reporter.warn(note);
  }
  unlock_restore(server, live, limits);
}

// From another database: the live one may be closed or read-only. A role that may not enter that one, or change what it finds,
// takes its backup all the same, should the live one let it.
void mend(const Subject& subject, Reporter& reporter, const Limits& limits) {
  const auto& live = subject.database.database;
  try {
    auto connection = open_beside(subject.database, live, limits);
    for (const auto& note : mend_restores(connection, live, limits)) reporter.warn(note);
    if (const auto half = half_restored(connection, live, limits)) throw Failure{Exit::failed, half->text(live) + "; no backup is taken of it", half->remedy(subject.environment)};
    mend_beside(subject, connection, reporter, limits);
  } catch (const io::postgres::DatabaseError& error) {
    limits.check("a look at what restores left");
    if (!error.lost()) reporter.warn("what a restore left can't be taken back: " + error.message());
  }
}

// A standby has of such tables the definition alone.
void miss_unlogged(io::postgres::Connection& connection, Reporter& reporter, const Limits& limits) {
  const auto tables = connection.query("SELECT count(*), min(n.nspname || '.' || c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                                       " WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()", limits);
  if (tables.number(0, 0) == 0) return;
  reporter.warn(fmt::format("this server is a standby, which has no rows of unlogged tables: {} of them, \"{}\" for one, are in the backup without any", tables.number(0, 0), text::printable(tables.text(0, 1), 200)));
}

std::string tag_without_newlines(std::string tag) {
  std::replace_if(tag.begin(), tag.end(), [](unsigned char c) { return c < 32; }, ' ');
  return tag;
}

}  // namespace

Taken take(Catalogue& catalogue, const Subject& subject, const Options& options, const Keyring& keys,
           const Clock& clock, Reporter& reporter, const Limits& limits) {
  const auto started = clock.steady();
  report(reporter, Event::Kind::started, fmt::format("of {}", subject.database.describe()));
  const auto held = lock(catalogue, limits);
  auto stays = catalogue.remove_stale(clock.now(), limits);
  // Whoever died before its marker was in place has no name there yet. Under the lock nobody else is at that.
  catalogue.store().sweep(catalogue.folder(), limits);

  mend(subject, reporter, limits);
  Snapshot snapshot{subject.database, options.dump.lock_wait, limits};
  miss_unlogged(snapshot.holder(), reporter, limits);
  const auto programs = find_programs(snapshot.server_major(), subject.database, subject.container, limits);

  const auto now = clock.now();
  const auto newest = catalogue.newest_label(limits);
  Manifest manifest;
  manifest.label = next_label(now, newest);
  if (newest && next_label(now, {}) < *newest) {
    reporter.warn(fmt::format("the clock is behind the newest backup {}; this one is {}", *newest, manifest.label));
  }
  std::vector<Broken> broken;
  const auto earlier = catalogue.list(limits, &broken);
  for (const auto& it : broken) reporter.warn(it.text());
  const auto foreign = std::find_if(earlier.rbegin(), earlier.rend(), [&](const Entry& entry) { return entry.manifest.database && !same_database(*entry.manifest.database, snapshot.identity()); });
  if (foreign != earlier.rend()) {
    reporter.warn(fmt::format("{} in {} has backups of another database too ({} is of {}; this one is of {}): they are neither pruned nor restored from here. Two projects of one name? `name:` in codops.yaml tells them apart",
                              catalogue.folder(), catalogue.store().describe(), foreign->manifest.label, origin_text(*foreign->manifest.database), origin_text(snapshot.identity())));
  }
  manifest.sequence = earlier.empty() ? 1 : earlier.back().manifest.sequence + 1;
  manifest.environment = subject.environment;
  manifest.folder = catalogue.folder();
  manifest.tag = tag_without_newlines(options.tag);
  manifest.safety = options.safety;
  manifest.started = now;
  manifest.host = store::host_name();
  manifest.codops_version = CODOPS_VERSION;
  manifest.encrypted = keys.encrypts();
  for (const auto& recipient : keys.recipients) manifest.recipients.push_back(recipient.text());

  Unpublished unpublished{catalogue, manifest.label};
  catalogue.begin(manifest.label, now, limits);
  const Destination destination{catalogue.store(), catalogue.folder() + "/" + manifest.label, keys};
  Progress progress{reporter, clock, "backup", earlier.empty() ? 0 : earlier.back().manifest.plain_size()};
  // Right after the database's own moment; files come last, so that whatever a row of the dump names is among them.
  std::optional<Part> redis;
  if (subject.redis) {
    progress.measure(false);
    redis = take_redis(*subject.redis, destination, options.dump.level, progress, limits);
    progress.measure(true);
  }
  auto dumped = [&] {
    try {
      return dump_database(snapshot, subject.database, *programs, destination, options.dump, progress, limits);
    } catch (const Failure& failure) {
      limits.check("a backup");
      // pg_dump would only say "invalid snapshot identifier".
      if (const auto why = snapshot.gone(limits)) throw Failure{failure.code(), *why + ": " + failure.message(), "take it again: codops backup " + subject.environment + subject.options};
      throw;
    }
  }();
  manifest.database = snapshot.identity();
  manifest.database->dump_version = dumped.dump_version;
  manifest.parts = std::move(dumped.parts);
  manifest.tables = std::move(dumped.tables);
  manifest.parts.push_back(dump_globals(snapshot, subject.database.database, *programs, destination, limits));
  if (redis) manifest.parts.push_back(std::move(*redis));
  for (std::size_t i = 0; i < subject.files.size(); ++i) {
    auto files = take_files(subject.files[i], i + 1, destination, options.dump.level, progress, limits);
    if (files.changed > 0) reporter.warn(fmt::format("{}: {} files changed while they were read", subject.files[i].name, files.changed));
    if (files.left_out > 0) reporter.warn(fmt::format("{}: {} sockets, pipes or devices are left out", subject.files[i].name, files.left_out));
    if (files.less_attributes > 0) reporter.warn(fmt::format("{}: {} files or folders have extended attributes (ACLs, capabilities), which are not kept", subject.files[i].name, files.less_attributes));
    manifest.parts.push_back(std::move(files.part));
  }

  for (const auto& part : manifest.parts) check_stored(catalogue.store(), destination.folder, part, limits);
  manifest.finished = clock.now();
  limits.check("a backup");
  held->check();
  const auto marker = catalogue.publish(manifest, keys.signing, limits);
  unpublished.published();
  if (stays.empty()) stays = marker;

  Taken taken{std::move(manifest), {}, {}};
  try {
    if (options.prune) taken.pruned = prune(catalogue, *options.prune, clock.now(), false, limits, [&] { return taken.manifest.database; }).removed;
  } catch (Failure& failure) {
    // A key that may only add is one way to keep backups from whoever has it.
    if (failure.code() == Exit::config) {
      stays = failure.message() + (failure.hint().empty() ? "" : " (" + failure.hint() + ")");
    } else {
      failure.add_context(fmt::format("backup {} is published and verified, but what the rules no longer keep could not be removed", taken.manifest.label));
      failure.with_hint(fmt::format("once that is mended: codops backup prune {}{}", subject.environment, catalogue.reached_by()));
      throw;
    }
  }
  if (!stays.empty()) reporter.warn(fmt::format("backup {} is published and verified; what is of no more use in the store stays there: {}", taken.manifest.label, stays));
  taken.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
  report(reporter, Event::Kind::done,
         fmt::format("{} · {} · {}", taken.manifest.label, format_bytes(taken.manifest.size()), taken.manifest.contents()),
         taken.took);
  return taken;
}

}  // namespace codops::backup
