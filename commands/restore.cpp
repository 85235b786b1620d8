// `codops restore`.
#include "lib/backup/restore.hpp"
#include "lib/backup/swap.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands/backup.hpp"
#include "commands/backup_place.hpp"
#include "commands/restore_hooks.hpp"
#include "commands/same_place.hpp"
#include "lib/base/units.hpp"

namespace codops::commands {
namespace {

using Json = nlohmann::ordered_json;

class Restore final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP|FILE", source_, "a label (its newest), a stamp, latest, or a dump file of pg_dump", false);
    parameters.option("--into", "DATABASE", into_, "makes another database of it; the live one is not touched");
    parameters.options("--table", "TABLE", tables_, "only its rows, into a schema of their own beside the live tables");
    parameters.options("--part", "NAME", parts_, "only database, redis, or that volume or folder; else all that the backup has");
    parameters.choice("--application", {"leave", "read_only", "stop"}, application_, "meanwhile, instead of backup.restore.application");
    parameters.flag("--no-migrate", no_migrate_, "leaves the schema as it was backed up");
    parameters.number("--jobs", "N", jobs_, "connections that load rows and build indexes");
    parameters.flag("--undo", undo_, "puts back what the last restore replaced; STAMP: what an earlier one did");
    parameters.flag("--no-safety-backup", no_safety_, "takes no backup of what is there first");
    parameters.flag("--other-database", other_database_, "a backup of another database may take the live one's place");
    parameters.flag("--no-tablespaces", no_tablespaces_, "everything goes into the default tablespace");
    parameters.flag("--no-owner", no_owner_, "objects belong to who restores");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
    parameters.option("--database-url-env", "NAME", url_variable_, "the variable that has the database's URL");
  }

  Result run(Services& services) override {
    if (!undo_ && source_.empty()) throw Failure{Exit::usage, "restore takes a backup, or --undo", fmt::format("codops restore {} latest", environment_.empty() ? "ENV" : environment_)};
    if (undo_ && !source_.empty() && !backup::is_stamp(source_)) {
      throw Failure{Exit::usage, fmt::format("\"{}\" is no stamp of a restore, which alone goes with --undo", source_),
                    fmt::format("codops restore {} --undo; what restores put aside is called …_before_STAMP", environment_)};
    }
    // PostgreSQL would cut it off, and the database have another name than we say.
    if (into_ && into_->size() > 63) throw Failure{Exit::usage, fmt::format("--into: a database's name has at most 63 bytes, this one {}", into_->size())};
    if (into_ && !parts_.empty()) throw Failure{Exit::usage, "--into makes another database of the backup: it goes without --part", "codops backup export ENV BACKUP FILE --part NAME takes another part out"};
    if (!tables_.empty() && (into_ || !parts_.empty())) throw Failure{Exit::usage, "--table goes with neither --into nor --part"};
    BackupPlace place{services, environment_, store_};
    is_file_ = !undo_ && names_file(services, place);
    if (is_file_ && !parts_.empty() && parts_ != std::vector<std::string>{"database"}) {
      throw Failure{Exit::usage, "--part does not go with a dump file: it has a database only"};
    }
    const auto subject = place.subject(url_variable_);
    if (undo_) return undo(services, place, subject);
    if (!tables_.empty()) return tables(services, place, subject);
    return restore(services, place, subject);
  }

 private:
  RestoreWays ways(const BackupPlace& place) const {
    const auto& settings = place.environment().backup;
    return {application_.value_or(settings.restore_application), settings.restore_migrate && !no_migrate_, settings.restore_health};
  }

  Result undo(Services& services, const BackupPlace& place, const backup::Subject& subject) const {
    if (services.options().dry_run) return plan_undo(services, subject);
    const auto found = backup::find_undoable(subject, source_, services.limits());
    if (!services.confirm(fmt::format("put back what the restore into \"{}\" of {} replaced?", subject.database.database, backup::stamp_text(found.stamp)))) return {Exit::failed, "nothing was changed\n", {}};
    auto wanted = ways(place);
    wanted.migrate = false;
    RestoreWiring wiring{services, place.environment(), subject, wanted};
    const auto undone = backup::undo_restore(subject, found.stamp, wiring.hooks(), services.clock(), services.reporter(), services.limits());
    const auto what = undone.database.empty() ? fmt::format("{}", fmt::join(undone.kept, ", ")) : "\"" + undone.database + "\"";
    const auto when = backup::stamp_text(found.stamp);
    std::string text = fmt::format("{} is again what it was before the restore of {} · {}\n", what, when, format_duration(undone.took));
    if (!undone.aside.empty()) text += fmt::format("  what was live is kept as \"{}\"\n", undone.aside);
    if (!undone.database.empty() && !undone.kept.empty()) text += fmt::format("  the same for {}\n", fmt::join(undone.kept, ", "));
    return with_health(services, text, undone, Json{{"database", undone.database}, {"aside", undone.aside}, {"others", undone.kept}});
  }

  Result plan_undo(Services& services, const backup::Subject& subject) const {
    const auto found = backup::find_undoable(subject, source_, services.limits());
    std::string text = fmt::format("{} · undo of the restore of {}\n\n", environment_, backup::stamp_text(found.stamp));
    Json others = Json::array();
    int number = 0;
    const auto step = [&](const std::string& what) { text += fmt::format("  {}  {}\n", ++number, what); };
    if (found.half) step("what did not come to its end there is put back, as far as it had come");
    if (!found.aside.empty()) step(fmt::format("\"{0}\" becomes \"{1}\" again; what is live now is kept as \"{1}_undone_…\"", found.aside, subject.database.database));
    if (found.redis) {
      step("Redis gets back the keys that were put aside");
      others.push_back("Redis");
    }
    for (const auto* place : found.files) {
      step(place->name + " gets back what was put aside");
      others.push_back(place->name);
    }
    return {Exit::ok, text, Json{{"exit", 0}, {"dry_run", true}, {"database", found.aside.empty() ? "" : subject.database.database}, {"back", found.aside}, {"others", others}}.dump()};
  }

  Result tables(Services& services, BackupPlace& place, const backup::Subject& subject) const {
    auto request = make_request(place);
    if (!request.file.empty()) throw Failure{Exit::usage, "--table takes a backup of codops", "a dump file restores whole: --into NAME"};
    const auto source = choose(place, request);
    if (services.options().dry_run) return plan(services, place, subject, request, source);
    const auto restored = backup::restore_tables(place.catalogue(), subject, request, place.keys(), services.clock(), services.reporter(), services.limits());
    std::string text = fmt::format("{} rows of {} are in schema \"{}\" of \"{}\" · {}\n", restored.rows, restored.source, restored.schema, restored.database, format_duration(restored.took));
    text += fmt::format("  look:   SELECT * FROM {0}.{1} LIMIT 10;\n  drop:   DROP SCHEMA {0} CASCADE;\n  the live tables were not touched, and no backup takes that schema along\n",
                        io::postgres::quote_identifier(restored.schema), io::postgres::quote_identifier(restored.table));
    return {Exit::ok, text, Json{{"exit", 0}, {"database", restored.database}, {"schema", restored.schema}, {"source", restored.source}, {"rows", restored.rows},
                                 {"seconds", static_cast<double>(restored.took.count()) / 1000}}.dump(), true};
  }

  Result restore(Services& services, BackupPlace& place, const backup::Subject& subject) const {
    auto request = make_request(place);
    const auto wanted = ways(place);
    request.read_only = wanted.application == "read_only";
    const auto source = choose(place, request);
    if (services.options().dry_run) return plan(services, place, subject, request, source);
    if (request.into.empty() && !services.confirm(fmt::format("replace {} of {} by {}? It is kept beside it.", subject_of(subject, request), environment_, source))) {
      return {Exit::failed, "nothing was changed\n", {}};
    }
    RestoreWiring wiring{services, place.environment(), subject, wanted};
    const auto restored = backup::restore(place.catalogue(), subject, request, place.options(), request.into.empty() ? wiring.hooks() : backup::RestoreHooks{}, place.keys(),
                                          services.clock(), services.reporter(), services.limits());
    std::string text = fmt::format("\"{}\" holds {} · {} rows, the same as the manifest says · {}\n", restored.database, restored.source, restored.rows, format_duration(restored.took));
    if (!request.file.empty()) text = fmt::format("\"{}\" holds {} · {}\n", restored.database, restored.source, format_duration(restored.took));
    if (restored.database.empty()) text = fmt::format("{} of {} · {}; the database was not touched\n", fmt::join(request.parts, ", "), restored.source, format_duration(restored.took));
    if (!restored.aside.empty()) text += fmt::format("  back:    {}      (\"{}\" is kept)\n", undoing(services), restored.aside);
    else if (!restored.kept.empty()) text += fmt::format("  back:    {}\n", undoing(services));
    for (const auto& kept : restored.kept) text += "  kept:    " + kept + "\n";
    if (!restored.safety_backup.empty()) text += fmt::format("  safety:  {}\n", restored.safety_backup);
    for (const auto& note : restored.notes) text += "  note:    " + note + "\n";
    return with_health(services, text, restored,
                       Json{{"database", restored.database}, {"source", restored.source}, {"aside", restored.aside}, {"others", restored.kept},
                            {"safety_backup", restored.safety_backup}, {"rows", restored.rows}, {"notes", restored.notes},
                            {"seconds", static_cast<double>(restored.took.count()) / 1000},
                            {"downtime_seconds", static_cast<double>(restored.downtime.count()) / 1000}});
  }

  // From here on the request names one backup, whatever is taken meanwhile. In words: "latest, which is 20261123-101500F".
  std::string choose(BackupPlace& place, backup::RestoreRequest& request) const {
    if (!request.file.empty()) return "the file " + source_;
    request.backup = place.find(source_).manifest.label;
    if (request.backup == source_) return source_;
    return fmt::format("{}, which is {}", source_, request.backup);
  }

  static std::string subject_of(const backup::Subject& subject, const backup::RestoreRequest& request) {
    std::vector<std::string> all;
    if (request.wants("database")) all.push_back(fmt::format("the database \"{}\"", subject.database.database));
    if (subject.redis && request.wants("redis") && request.file.empty()) all.emplace_back("Redis");
    for (const auto& place : subject.files) {
      if (request.wants(place.name) && request.file.empty()) all.push_back(place.name);
    }
    return fmt::format("{}", fmt::join(all, ", "));
  }

  // What the backup replaces beside the database.
  static std::string others_of(BackupPlace& place, const backup::Subject& subject, const backup::RestoreRequest& request) {
    if (!request.file.empty()) return {};
    const auto parts = place.find(request.backup).manifest.parts;
    std::vector<std::string> others;
    if (subject.redis && request.wants("redis") && std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.kind == "redis"; })) {
      others.push_back(subject.redis->names_database ? fmt::format("Redis (database {})", subject.redis->database) : "Redis (all its databases)");
    }
    for (const auto& one : subject.files) {
      const bool has = std::any_of(parts.begin(), parts.end(), [&](const auto& part) { return part.kind == "files" && part.subject == one.name; });
      if (has && request.wants(one.name)) others.push_back(one.name);
    }
    return fmt::format("{}", fmt::join(others, ", "));
  }

  std::string undoing(Services& services) const { return fmt::format("codops restore {} --undo{}", environment_, same_place(services.options(), store_, url_variable_)); }

  // The restore itself is done: an application that is unwell is told, and is no reason to swap back by ourselves.
  Result with_health(Services& services, std::string text, const backup::Restored& restored, Json json) const {
    const auto exit = restored.unwell.empty() ? Exit::ok : Exit::unhealthy;
    if (!restored.unwell.empty()) text += fmt::format("  UNWELL:  {}\n           codops health-check {}{}; back: {}\n", restored.unwell, environment_, same_place(services.options(), {}, {}), undoing(services));
    Json document{{"exit", static_cast<int>(exit)}, {"unwell", restored.unwell}};
    document.update(json);
    return {exit, text, document.dump(), true};
  }

  // A path is told from a backup's name by its slash, or by being there; never where the name says which backup is meant.
  bool names_file(Services& services, BackupPlace& place) const {
    if (source_.find('/') != std::string::npos) return true;
    if (source_ == backup::latest_word || backup::looks_like_label(source_) || !std::filesystem::is_regular_file(source_)) return false;
    std::vector<backup::Broken> broken;
    const auto entries = place.catalogue().list(services.limits(), &broken);
    const auto* backup = backup::named(entries, source_);
    if (backup == nullptr) return true;
    throw Failure{Exit::usage, fmt::format("\"{}\" is a file here, and the label of backup {}", source_, backup->manifest.label),
                  fmt::format("the file: ./{}; the backup: {}", source_, backup->manifest.label)};
  }

  backup::RestoreRequest make_request(const BackupPlace& place) const {
    backup::RestoreRequest request;
    if (is_file_) {
      request.file = source_;
    } else {
      request.backup = source_;
    }
    request.into = into_.value_or("");
    request.tables = tables_;
    request.parts = parts_;
    request.safety_backup = !no_safety_;
    request.load.no_owner = no_owner_;
    request.load.no_tablespaces = no_tablespaces_;
    request.other_database = other_database_;
    request.load.jobs = static_cast<int>(jobs_.value_or(std::max(2, place.environment().backup.jobs)));
    if (request.load.jobs < 1 || request.load.jobs > 64) throw Failure{Exit::usage, "--jobs takes 1 to 64"};
    return request;
  }

  Result plan(Services& services, BackupPlace& place, const backup::Subject& subject, const backup::RestoreRequest& request, const std::string& source) const {
    const auto findings = backup::check_restore(place.catalogue(), subject, request, place.keys(), services.limits());
    const auto& live = subject.database.database;
    std::string text = fmt::format("{} · restore of {} · every stored byte was checked\n\n", environment_, source);
    Json json{{"exit", 0}, {"dry_run", true}, {"source", request.file.empty() ? request.backup : source_}, {"findings", Json::array()}};
    bool blocked = false;
    for (const auto& finding : findings) {
      blocked |= finding.blocks;
      text += fmt::format("  {} {}{}\n", finding.blocks ? "!" : "·", finding.message, finding.hint.empty() ? "" : " (" + finding.hint + ")");
      json["findings"].push_back({{"blocks", finding.blocks}, {"message", finding.message}, {"hint", finding.hint}});
    }
    int number = 0;
    const auto step = [&](std::string_view name, const std::string& what) { text += fmt::format("  {}  {:<8}  {}\n", ++number, name, what); };
    const auto wanted = ways(place);
    if (!request.tables.empty()) {
      step("restore", fmt::format("{} into a schema of their own in \"{}\"        undo: drop", fmt::join(request.tables, ", "), live));
    } else if (request.into.empty()) {
      const bool exists = backup::live_exists(subject, services.limits());
      if (request.safety_backup && exists) step("backup", fmt::format("of what \"{}\" holds now", live));
      if (wanted.application == "stop") step("stop", "the application's containers                            undo: start");
      if (wanted.application == "read_only" && request.wants("database") && exists) step("hold", fmt::format("\"{}\" refuses writes until the swap                  undo: as before", live));
      if (request.wants("database")) {
        step("restore", "into a new database, compared with the manifest        undo: drop");
        if (wanted.migrate) step("migrate", "the new database, as far as the live one is             undo: drop");
        if (!exists) step("swap", fmt::format("the new one becomes \"{}\", which does not exist yet", live));
        else step("swap", fmt::format("\"{0}\" is renamed and kept, the new one becomes \"{0}\"   undo: {1}", live, undoing(services)));
        if (const auto others = others_of(place, subject, request); !others.empty()) step("", fmt::format("{}: what is live is kept beside it   undo: the same", others));
      } else {
        step("swap", fmt::format("{}: what is live is kept beside it; the database is not touched   undo: {}", subject_of(subject, request), undoing(services)));
      }
      if (wanted.application == "stop") step("start", "the application's containers");
      if (wanted.health) step("health", "as codops health-check asks");
    } else {
      step("restore", fmt::format("into the new database \"{}\"", request.into));
    }
    json["exit"] = blocked ? 65 : 0;
    return {blocked ? Exit::data : Exit::ok, text, json.dump()};
  }

  std::string environment_, source_;
  std::optional<std::string> into_, store_, url_variable_, application_;
  std::vector<std::string> tables_, parts_;
  std::optional<std::int64_t> jobs_;
  bool is_file_{}, undo_{}, no_safety_{}, no_owner_{}, no_migrate_{}, other_database_{}, no_tablespaces_{};
};

}  // namespace

std::unique_ptr<Command> make_restore() { return make_command<Restore>(); }

}  // namespace codops::commands
