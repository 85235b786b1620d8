#include "lib/backup/restore.hpp"

#include "lib/backup/database_properties.hpp"
#include "lib/backup/database_settings.hpp"
#include "lib/backup/dump_file.hpp"
#include "lib/backup/half_restored.hpp"
#include "lib/backup/hints.hpp"
#include "lib/backup/lacking.hpp"
#include "lib/backup/reading.hpp"
#include "lib/backup/redis_part.hpp"
#include "lib/backup/restore_beside.hpp"
#include "lib/backup/restore_steps.hpp"
#include "lib/backup/session.hpp"
#include "lib/base/units.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;

class Restoring {
 public:
  Restoring(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request, const Options& safety, const RestoreHooks& hooks,
            const Keyring& keys, const Clock& clock, Reporter& reporter, const Limits& limits, std::string& left)
      : catalogue_{catalogue}, subject_{subject}, request_{request}, safety_{safety}, hooks_{hooks}, keys_{keys}, clock_{clock}, reporter_{reporter},
        limits_{limits}, live_{subject.database.database}, began_{clock.now()}, swapping_{request.into.empty()}, with_database_{!swapping_ || request.wants("database")},
        steps_{reporter, clock}, server_{open_beside(subject.database, live_, limits)}, rescue_{server_.target(), reporter, rescue_patience, &left},
        fresh_{rescue_, swapping_ ? side_name(live_, "new", began_) : request.into}, read_only_{rescue_, live_, fresh_}, stopped_{hooks} {}

  Restored run() {
    const auto started = clock_.steady();
    require_primary(server_, limits_);
    // Before any waiting: what "latest" meant to whoever typed it.
    if (request_.file.empty()) entry_ = catalogue_.find(request_.backup, limits_);
    lock_restore(server_, live_, limits_);
    for (const auto& note : mend_restores(server_, live_, limits_)) reporter_.warn(note);
    if (const auto half = half_restored(server_, live_, limits_)) reporter_.warn(half->text(live_));
    programs_ = find_programs(server_.server_version() / 10000, subject_.database, subject_.container, limits_);
    live_exists_ = database_exists(server_, live_, limits_);
    steps_.step("check", [&] { return check(); });
    choose_shape();
    if (swapping_ && live_exists_ && request_.safety_backup) take_safety_backup();
    hold_application();
    if (with_database_) steps_.step("restore", [&] { return fill(); });
    if (beside_.redis != nullptr || !beside_.files.empty()) steps_.step("lay out", [&] { return lay_out_beside(); });
    if (with_database_ && hooks_.migrate) steps_.step("migrate", [&] { return hooks_.migrate(target(), limits_); });
    if (swapping_) {
      steps_.step("swap", [&] { return swap(); });
      if (hooks_.health && result_.unwell.empty()) steps_.step("health", [&] { return well(); });
    } else {
      take_settings_of_backup();
      server_.run(fmt::format("COMMENT ON DATABASE {} IS NULL", io::postgres::quote_identifier(fresh_.name())), limits_);
      fresh_.keep();
      result_.database = fresh_.name();
    }
    result_.took = since(started);
    return std::move(result_);
  }

 private:
  Milliseconds since(std::chrono::steady_clock::time_point from) const {
    return std::chrono::duration_cast<Milliseconds>(clock_.steady() - from);
  }
  io::postgres::Target target() const { return in_database(subject_.database, fresh_.name()); }

  // Of what it holds the backup tells; where it lies, and all that the backup does not tell, is as the live one has it.
  void choose_shape() {
    if (live_exists_ && swapping_) {
      const auto live = shape_of(server_, live_, limits_);
      if (shape_.encoding.empty()) shape_ = live;
      if (shape_.locale.provider.empty() && shape_.collate == live.collate && shape_.ctype == live.ctype) shape_.locale = live.locale;
      shape_.tablespace = live.tablespace;
    } else if (shape_.encoding.empty() && live_exists_) {
      shape_ = shape_of(server_, live_, limits_);
    }
    if (!shape_.tablespace.empty() && !tablespace_usable(server_, shape_.tablespace, limits_)) shape_.tablespace.clear();
    if (request_.load.no_owner) shape_.owner.clear();  // the database itself too
  }

  std::string check() {
    // What takes a moment comes before all of the backup is read.
    if (const auto taken = into_taken(request_, server_, limits_)) throw Failure{*taken};
    if (swapping_ && with_database_ && live_exists_) require_possible(preflight_swap(server_, live_, limits_));
    if (swapping_ && with_database_ && live_exists_ && request_.read_only) note(preflight_read_only(server_, live_, limits_));
    if (!request_.file.empty()) {
      file_.emplace(request_.file);
      file_->check(*programs_, limits_);
      note(preflight(file_->needs().identity(request_.load.no_owner, request_.load.no_tablespaces), server_, limits_));
      result_.source = request_.file.string();
    } else {
      reading_.emplace(catalogue_, entry_->manifest.label, limits_);
      for (const auto& passed : entry_->passed_over) reporter_.warn(passed);
      const auto& manifest = entry_->manifest;
      result_.source = manifest.label;
      if (swapping_) beside_ = beside_database(manifest, subject_, request_, see_backup(catalogue_, manifest.label), result_.notes);
      if (swapping_ && manifest.database) note(preflight_origin(*manifest.database, server_, subject_.database, request_.other_database, limits_));
      if (manifest.database && with_database_) {
        auto identity = *manifest.database;
        if (request_.load.no_tablespaces) identity.tablespaces.clear();
        note(preflight(identity, server_, limits_, live_exists_ && swapping_ ? shape_of(server_, live_, limits_).tablespace : std::string{}));
        shape_ = shape_of(identity);
      }
      checked_.emplace(catalogue_, manifest, parts_to_read(manifest, beside_, with_database_), keys_, limits_);
      if (with_database_ && manifest.find("archive") != nullptr) note(preflight_archive([&] { return archive_head(*checked_, limits_); }, request_.load.no_owner, server_, limits_));
      if (beside_.redis != nullptr) {
        redis_.emplace(*subject_.redis, *beside_.redis, limits_);
        if (auto note = redis_->note(); !note.empty()) result_.notes.push_back(std::move(note));
      }
    }
    return fmt::format("{} is whole", result_.source);
  }

  void note(const std::vector<Finding>& findings) {
    require_possible(findings);
    for (const auto& finding : findings) result_.notes.push_back(finding.message);
  }

  void take_safety_backup() {
    // Its own pruning could remove the very backup that is being restored.
    auto options = safety_;
    options.prune.reset();
    options.safety = true;
    options.tag = "before restore of " + result_.source;
    result_.safety_backup = take(catalogue_, subject_, options, keys_, clock_, reporter_, limits_).manifest.label;
  }

  // From here to the swap nothing that the application writes would stay.
  void hold_application() {
    if (!swapping_) return;
    held_since_ = clock_.steady();
    if (hooks_.stop) {
      steps_.step("stop", [&] {
        stopped_.stop(limits_);
        return std::string{"the application rests"};
      });
    }
    if (with_database_) make_fresh();
    if (request_.read_only && live_exists_ && with_database_) {
      // First the note for whoever comes after our death, then the deed.
      mark(server_, fresh_.name(), {live_, true}, limits_);
      read_only_.begin(server_, limits_);
    }
    if (!hooks_.stop && !read_only_.active()) held_since_.reset();
  }

  void make_fresh() {
    fresh_.create(server_, shape_, limits_);
    mark(server_, fresh_.name(), {live_, false}, limits_);
    speaks_money_ = speak_money(server_, fresh_.name(), money(), limits_);
  }

  // Of a file nothing is known: most are of the live database.
  std::string money() {
    if (entry_) return entry_->manifest.database ? entry_->manifest.database->lc_monetary : std::string{};
    if (!live_exists_) return {};
    try {
      return std::string{open_session(in_database(subject_.database, live_), limits_).query("SELECT pg_catalog.current_setting('lc_monetary')", limits_).text(0, 0)};
    } catch (const io::postgres::DatabaseError&) {
      limits_.check("a restore");
      return {};
    }
  }

  void forget_money_of_backup() {
    if (std::exchange(speaks_money_, false)) forget_money(server_, fresh_.name(), limits_);
  }

  // Where there is no live database to have them from. What the server refuses is no reason to be without the rows.
  void take_settings_of_backup() {
    forget_money_of_backup();
    for (const auto& statement : settings_) {
      if (!swapping_ && statement_kind(statement).ends_with(" IS_TEMPLATE = true")) continue;  // a copy beside it is none
      try {
        server_.run(statement, limits_);
      } catch (const io::postgres::DatabaseError& error) {
        if (error.lost()) throw;
        result_.notes.push_back(fmt::format("a setting of the database that was backed up is left out: {}: {}", statement_kind(statement), error.message()));
      }
    }
  }

  std::string fill() {
    if (!swapping_) make_fresh();
    Progress progress{reporter_, clock_, "restore", entry_ ? entry_->manifest.plain_size() : 0};
    if (entry_) {
      auto loaded = load_backup(*checked_, target(), *programs_, request_.load, progress, limits_);
      settings_ = std::move(loaded.settings);
      for (auto& note : loaded.notes) result_.notes.push_back(std::move(note));
      result_.rows = entry_->manifest.rows();
    } else {
      file_->load(target(), *programs_, request_.load, limits_);
    }
    if (!entry_ && swapping_ && live_exists_) tell_what_file_lacks();
    return entry_ ? fmt::format("{} rows into \"{}\", the same as were dumped", result_.rows, fresh_.name()) : fmt::format("into \"{}\"", fresh_.name());
  }

  // Of a file nothing says whether it is all of a database: a dump of one table, or of definitions alone, is a file like any other.
  void tell_what_file_lacks() {
    auto live = open_session(in_database(subject_.database, live_), limits_);
    auto fresh = open_session(target(), limits_);
    const auto lacks = lacking(tables_with_rows(live, limits_), tables_with_rows(fresh, limits_));
    if (!lacks.empty()) reporter_.warn(fmt::format("{} {}; once it has taken its place, codops restore {} --undo takes that back", result_.source, lacks, subject_.environment));
  }

  std::string lay_out_beside() {
    Progress progress{reporter_, clock_, "lay out", 0};
    std::string said;
    if (redis_) {
      auto reader = checked_->open(*beside_.redis, limits_);
      redis_->load(reader, progress, limits_);
      said = "Redis";
    }
    for (const auto& [part, place] : beside_.files) {
      auto reader = checked_->open(*part, limits_);
      files_.push_back(std::make_unique<FilesRestore>(*place, *part, stamp_of(began_)));
      files_.back()->load(reader, progress, limits_);
      if (auto note = files_.back()->note(); !note.empty()) result_.notes.push_back(std::move(note));
      said += (said.empty() ? "" : ", ") + place->name;
    }
    return said + " beside what is live";
  }

  // Whatever fails on the way, everything that had changed places goes back.
  std::string swap() {
    const auto from = held_since_.value_or(clock_.steady());
    std::string said;
    bool database_swapped = false, at_files = false;
    // Killed between two of them, the parts that are live would not belong together: whoever comes next has to know.
    const bool several = (with_database_ ? 1U : 0U) + (redis_ ? 1U : 0U) + files_.size() > 1;
    const auto comment = live_exists_ ? comment_of(server_, live_, limits_) : std::string{};
    const auto half = to_comment({result_.source, comment, stamp_of(began_)});
    comment_ = several ? half : comment;
    try {
      bool noted = with_database_;
      if (several && !with_database_ && live_exists_) noted = note_beside(comment_);
      if (with_database_) {
        said = swap_database();
        database_swapped = true;
      }
      if (redis_) {
        redis_->swap(stamp_of(began_), limits_);
        result_.kept.push_back("Redis: " + redis_->kept());
      }
      at_files = true;
      for (const auto& files : files_) {
        files->swap(limits_);
        result_.kept.push_back(files->kept());
      }
      if (several && noted) set_comment(server_, live_, comment, limits_);
    } catch (const std::exception& failure) {
      swap_back(database_swapped, failure.what());
      // Files that are neither are mended by the next restore, and backed up by nobody.
      const auto* told = dynamic_cast<const Failure*>(&failure);
      const bool mixed = at_files && told != nullptr && told->code() == Exit::undo_failed;
      if (live_exists_ && (mixed || (several && !with_database_))) note_beside(mixed ? half : comment);
      throw;
    }
    fresh_.keep();
    read_only_.ended();
    if (with_database_) result_.database = live_;
    result_.unwell = stopped_.start_or_tell(limits_);
    result_.downtime = since(from);
    return said.empty() ? fmt::format("{} kept", fmt::join(result_.kept, ", ")) : said;
  }

  // On a database that is not itself restored: a role that may not comment on it restores Redis and files all the same.
  bool note_beside(const std::string& comment) {
    try {
      set_comment(server_, live_, comment, Limits{}.within(Milliseconds{20'000}));
      return true;
    } catch (const io::postgres::DatabaseError&) {
      return false;
    }
  }

  std::string swap_database() {
    if (!live_exists_) {
      take_settings_of_backup();
      server_.run(fmt::format("BEGIN; ALTER DATABASE {0} RENAME TO {1}; COMMENT ON DATABASE {1} IS {2}; COMMIT", io::postgres::quote_identifier(fresh_.name()),
                              io::postgres::quote_identifier(live_), comment_.empty() ? "NULL" : io::postgres::quote_literal(comment_)),
                  limits_);
      return fmt::format("\"{}\" is new", live_);
    }
    result_.aside = side_name(live_, database_before, began_);
    for (const auto& name : subscriptions(server_, live_, limits_)) {
      const auto quoted = io::postgres::quote_identifier(name);
      result_.notes.push_back(fmt::format("subscription \"{0}\" is still enabled in \"{1}\" and takes its slot's rows there; in \"{1}\": ALTER SUBSCRIPTION {2} DISABLE; ALTER SUBSCRIPTION {2} SET (slot_name = NONE);"
                                          " then in \"{3}\": ALTER SUBSCRIPTION {2} ENABLE; ALTER SUBSCRIPTION {2} REFRESH PUBLICATION WITH (copy_data = false)", name, result_.aside, quoted, live_));
    }
    for (const auto& slot : slots(server_, live_, limits_)) result_.notes.push_back(slot.told_after(live_, result_.aside));
    forget_money_of_backup();
    for (const auto& refused : copy_properties(server_, live_, fresh_.name(), read_only_.active() ? read_only_setting : std::string_view{}, limits_)) {
      result_.notes.push_back(fmt::format("what \"{}\" has and its successor has not: {}; a superuser can say it again", result_.aside, refused));
    }
    swap_databases(server_, {live_, fresh_.name(), result_.aside, comment_, read_only_.active()}, limits_);
    return fmt::format("\"{}\" is kept as \"{}\"", live_, result_.aside);
  }

  void swap_back(bool database_swapped, const std::string& why) {
    const auto limits = Limits{}.within(Milliseconds{120'000});
    std::string remains;
    const auto attempt = [&](const std::string& what, const std::function<void()>& work) {
      try {
        work();
      } catch (const Failure& failure) {
        remains += (remains.empty() ? "" : "; ") + what + ": " + failure.message();
      }
    };
    for (const auto& files : files_) attempt("files", [&] { files->swap_back(limits); });
    if (redis_) attempt("Redis", [&] { redis_->swap_back(limits); });
    if (database_swapped) {
      attempt("database", [&] {
        auto again = open_session(server_.target(), limits);
        if (live_exists_) {
          mark(again, result_.aside, {live_, false, false, comment_of(again, result_.aside, limits)}, limits);
          swap_databases(again, {live_, result_.aside, fresh_.name(), comment_of(again, live_, limits), false}, limits);
        } else {
          again.run(fmt::format("ALTER DATABASE {} RENAME TO {}", io::postgres::quote_identifier(live_), io::postgres::quote_identifier(fresh_.name())), limits);
        }
        read_only_.ended();
      });
    }
    if (!remains.empty()) {
      fresh_.keep();
      throw Failure{Exit::undo_failed, fmt::format("{}; and what had been swapped could not be put back: {}", why, remains),
                    result_.aside.empty() ? "" : fmt::format("what was live is \"{}\"; once that is mended: codops restore {} --undo{}", result_.aside, subject_.environment, subject_.options)};
    }
  }

  std::string well() {
    result_.unwell = hooks_.health(limits_);
    return result_.unwell.empty() ? "well" : "unwell";
  }

  Catalogue& catalogue_;
  const Subject& subject_;
  const RestoreRequest& request_;
  const Options& safety_;
  const RestoreHooks& hooks_;
  const Keyring& keys_;
  const Clock& clock_;
  Reporter& reporter_;
  const Limits& limits_;
  std::string live_;
  WallTime began_;
  bool swapping_, with_database_, live_exists_{};
  Steps steps_;
  Connection server_;
  Rescue rescue_;
  // Destroyed last to first: the application starts before the rest is cleared away.
  Fresh fresh_;
  std::optional<RedisRestore> redis_;
  std::vector<std::unique_ptr<FilesRestore>> files_;
  ReadOnly read_only_;
  ApplicationHeld stopped_;
  std::unique_ptr<Programs> programs_;
  std::optional<Entry> entry_;
  std::optional<Reading> reading_;
  std::optional<CheckedBackup> checked_;
  std::optional<DumpFile> file_;
  DatabaseShape shape_;
  Beside beside_;
  std::vector<std::string> settings_;  // of the database that was backed up, as statements for the fresh one
  bool speaks_money_{};
  std::string comment_;  // of the live database while places change
  std::optional<std::chrono::steady_clock::time_point> held_since_;
  Restored result_;
};

}  // namespace

Restored restore(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request, const Options& safety,
                 const RestoreHooks& hooks, const Keyring& keys, const Clock& clock, Reporter& reporter,
                 const Limits& limits) {
  std::string left;
  try {
    return Restoring{catalogue, subject, request, safety, hooks, keys, clock, reporter, limits, left}.run();
  } catch (const Failure& failure) {
    // By now all that could be put right is.
    if (left.empty() || failure.code() == Exit::undo_failed) throw;
    throw Failure{Exit::undo_failed, fmt::format("{}; and {}", failure.message(), left), failure.hint()};
  }
}

}  // namespace codops::backup
