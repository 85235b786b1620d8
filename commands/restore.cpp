// `codops restore` and `codops backup drill`.
#include "lib/backup/restore.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands/backup.hpp"
#include "commands/backup_place.hpp"
#include "lib/backup/scratch_server.hpp"
#include "lib/base/units.hpp"

namespace codops::commands {
namespace {

using Json = nlohmann::ordered_json;

class Restore final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP|FILE", source_, "a label, a tag, latest, or a dump file of pg_dump", false);
    parameters.option("--into", "DATABASE", into_, "makes another database of it; the live one is not touched");
    parameters.number("--jobs", "N", jobs_, "connections that load rows and build indexes");
    parameters.flag("--undo", undo_, "puts the database of before the last restore back");
    parameters.flag("--no-safety-backup", no_safety_, "takes no backup of what is there first");
    parameters.flag("--no-owner", no_owner_, "objects belong to who restores");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
    parameters.option("--database-url-env", "NAME", url_variable_, "the variable that has the database's URL");
  }

  Result run(Services& services) override {
    if (undo_ == !source_.empty()) throw Failure{Exit::usage, "restore takes a backup, or --undo", fmt::format("codops restore {} latest", environment_.empty() ? "ENV" : environment_)};
    BackupPlace place{services, environment_, store_};
    const auto subject = place.subject(url_variable_);
    return undo_ ? undo(services, subject) : restore(services, place, subject);
  }

 private:
  Result undo(Services& services, const backup::Subject& subject) const {
    if (!services.confirm(fmt::format("put the database \"{}\" of before the last restore back?", subject.database.database))) return {Exit::failed, "nothing was changed\n", {}};
    const auto undone = backup::undo_restore(subject, {}, services.clock(), services.reporter(), services.limits());
    return {Exit::ok, fmt::format("\"{}\" is again what \"{}\" was · {}\n  what was live is kept as \"{}\"\n", undone.database, undone.source, format_duration(undone.took), undone.aside),
            Json{{"exit", 0}, {"database", undone.database}, {"aside", undone.aside}}.dump()};
  }

  Result restore(Services& services, BackupPlace& place, const backup::Subject& subject) const {
    const auto request = make_request(place);
    if (services.options().dry_run) return plan(services, place, subject, request);
    if (request.into.empty() && !services.confirm(fmt::format("replace the database \"{}\" of {} by {}? It is kept beside it.", subject.database.database, environment_, source_))) {
      return {Exit::failed, "nothing was changed\n", {}};
    }
    const auto restored = backup::restore(place.catalogue(), subject, request, place.options(), {}, place.keys(),
                                          services.clock(), services.reporter(), services.limits());
    std::string text = fmt::format("\"{}\" holds {} · {} rows, the same as the manifest says · {}\n", restored.database, restored.source, restored.rows, format_duration(restored.took));
    if (!request.file.empty()) text = fmt::format("\"{}\" holds {} · {}\n", restored.database, restored.source, format_duration(restored.took));
    if (!restored.aside.empty()) text += fmt::format("  back:    codops restore {} --undo      (\"{}\" is kept)\n", environment_, restored.aside);
    if (!restored.safety_backup.empty()) text += fmt::format("  safety:  {}\n", restored.safety_backup);
    for (const auto& note : restored.notes) text += "  note:    " + note + "\n";
    return {Exit::ok, text,
            Json{{"exit", 0}, {"database", restored.database}, {"source", restored.source}, {"aside", restored.aside},
                 {"safety_backup", restored.safety_backup}, {"rows", restored.rows}, {"notes", restored.notes},
                 {"seconds", static_cast<double>(restored.took.count()) / 1000},
                 {"downtime_seconds", static_cast<double>(restored.downtime.count()) / 1000}}.dump()};
  }

  backup::RestoreRequest make_request(const BackupPlace& place) const {
    backup::RestoreRequest request;
    // A path is told from a label by its slash, or by being there.
    if (source_.find('/') != std::string::npos || std::filesystem::is_regular_file(source_)) {
      request.file = source_;
    } else {
      request.backup = source_;
    }
    request.into = into_.value_or("");
    request.safety_backup = !no_safety_;
    request.load.no_owner = no_owner_;
    request.load.jobs = static_cast<int>(jobs_.value_or(std::max(2, place.environment().backup.jobs)));
    if (request.load.jobs < 1 || request.load.jobs > 64) throw Failure{Exit::usage, "--jobs takes 1 to 64"};
    return request;
  }

  Result plan(Services& services, BackupPlace& place, const backup::Subject& subject, const backup::RestoreRequest& request) const {
    const auto findings = backup::check_restore(place.catalogue(), subject, request, place.keys(), services.limits());
    const auto& live = subject.database.database;
    std::string text = fmt::format("{} · restore of {} · every stored byte was checked\n\n", environment_, source_);
    Json json{{"exit", 0}, {"dry_run", true}, {"findings", Json::array()}};
    bool blocked = false;
    for (const auto& finding : findings) {
      blocked |= finding.blocks;
      text += fmt::format("  {} {}{}\n", finding.blocks ? "!" : "·", finding.message, finding.hint.empty() ? "" : " (" + finding.hint + ")");
      json["findings"].push_back({{"blocks", finding.blocks}, {"message", finding.message}, {"hint", finding.hint}});
    }
    if (request.into.empty()) {
      if (request.safety_backup) text += fmt::format("  1  backup    of what \"{}\" holds now\n", live);
      text += fmt::format("  2  restore   into a new database, compared with the manifest        undo: drop\n"
                          "  3  swap      \"{0}\" is renamed and kept, the new one becomes \"{0}\"   undo: codops restore {1} --undo\n", live, environment_);
    } else {
      text += fmt::format("  1  restore   into the new database \"{}\"\n", request.into);
    }
    json["exit"] = blocked ? 65 : 0;
    return {blocked ? Exit::data : Exit::ok, text, json.dump()};
  }

  std::string environment_, source_;
  std::optional<std::string> into_, store_, url_variable_;
  std::optional<std::int64_t> jobs_;
  bool undo_{}, no_safety_{}, no_owner_{};
};

class DrillCommand final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label, a tag, or latest", false);
    parameters.option("--store", "DIR", store_, "instead of backup.store");
    parameters.option("--server-env", "NAME", server_variable_, "the variable with the URL of a server to restore on; without it a temporary one is started here");
    parameters.number("--jobs", "N", jobs_, "connections that load rows and build indexes");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const auto entry = place.catalogue().find(backup_, services.limits());
    std::unique_ptr<backup::ScratchServer> scratch;
    io::postgres::Target server;
    if (server_variable_) {
      const auto url = services.variable(*server_variable_);
      if (!url) throw Failure{Exit::config, fmt::format("{} is not set", *server_variable_)};
      server = io::postgres::parse_target(*url, *server_variable_);
    } else {
      const int major = entry.manifest.database ? entry.manifest.database->server_number / 10000 : 0;
      scratch = std::make_unique<backup::ScratchServer>(major, services.limits());
      server = scratch->target();
    }
    backup::LoadOptions load;
    load.jobs = static_cast<int>(std::clamp<std::int64_t>(jobs_.value_or(2), 1, 64));
    const auto result = backup::drill(place.catalogue(), entry, server, load, place.keys(), services.clock(), services.reporter(), services.limits());
    const auto rto = place.environment().backup.rto;
    const bool in_time = result.took <= rto;
    const auto text = !result.same ? fmt::format("{} did not come back: {}\n", entry.manifest.label, result.difference)
                                   : fmt::format("{} came back whole: {} rows in {} tables, the same · {} (RTO {}{})\n", entry.manifest.label, result.rows, entry.manifest.tables.size(),
                                                 format_duration(result.took), format_duration(rto), in_time ? "" : ", MISSED");
    const auto exit = result.same && in_time ? Exit::ok : Exit::unhealthy;
    return {exit, text,
            Json{{"exit", static_cast<int>(exit)}, {"label", entry.manifest.label}, {"same", result.same}, {"difference", result.difference}, {"rows", result.rows},
                 {"seconds", static_cast<double>(result.took.count()) / 1000}, {"rto_seconds", static_cast<double>(rto.count()) / 1000}}.dump()};
  }

 private:
  std::string environment_, backup_{"latest"};
  std::optional<std::string> store_, server_variable_;
  std::optional<std::int64_t> jobs_;
};

}  // namespace

std::unique_ptr<Command> make_restore() { return make_command<Restore>(); }
std::unique_ptr<Command> make_backup_drill() { return make_command<DrillCommand>(); }

}  // namespace codops::commands
