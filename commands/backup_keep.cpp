// `codops backup verify`, `prune`, `rm` and `pin`: what stays, and whether it is whole.
#include <nlohmann/json.hpp>

#include "commands/backup.hpp"
#include "commands/backup_place.hpp"
#include "lib/backup/hints.hpp"
#include "lib/backup/verify.hpp"
#include "lib/base/units.hpp"

namespace codops::commands {
namespace {

using Json = nlohmann::ordered_json;

class Verify final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label (its newest), a stamp, latest, or all", false);
    parameters.option("--store", "DIR", store_, "instead of backup.store");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    std::vector<backup::Entry> entries;
    std::vector<backup::Broken> broken;
    if (backup_ == "all") {
      entries = place.catalogue().list(services.limits(), &broken);
    } else {
      entries.push_back(place.find(backup_));
    }
    if (entries.empty() && broken.empty()) throw Failure{Exit::usage, fmt::format("there are no backups in {}", place.catalogue().store().describe()), backup::see_list(place.catalogue())};
    Result result;
    // Whoever asks for the newest is not well off with an older one: what find() has warned of is why.
    for (const auto& entry : entries) {
      if (!entry.passed_over.empty()) result.exit = Exit::unhealthy;
    }
    Json json{{"exit", 0}, {"backups", Json::array()}};
    for (const auto& entry : entries) {
      backup::Progress progress{services.reporter(), services.clock(), "verify", entry.manifest.plain_size()};
      backup::Verification found;
      try {
        found = backup::verify(place.catalogue(), entry, place.keys(), services.clock().now(), progress, services.limits());
      } catch (const Failure& failure) {
        // Of several the others can be read all the same. Nothing is known of this one, so nothing is noted.
        if (failure.code() != Exit::config || entries.size() == 1) throw;
        result.text += fmt::format("  {}  NOT READ: {}\n", entry.manifest.label, failure.message());
        json["backups"].push_back({{"label", entry.manifest.label}, {"whole", nullptr}, {"read", false}, {"rows", 0}, {"damage", ""}, {"why", failure.message()}});
        result.exit = Exit::unhealthy;
        continue;
      }
      if (!found.unrecorded.empty()) services.reporter().warn("that it was verified is not recorded in the store: " + found.unrecorded);
      result.text += fmt::format("  {}  {}\n", entry.manifest.label,
                                 found.untrusted ? "NOT TRUSTED: " + found.damage + "; look at backup.signing_key"
                                 : !found.whole  ? "DAMAGED: " + found.damage
                                 : found.read ? (entry.manifest.find("archive") != nullptr ? fmt::format("whole: {} rows read", found.rows) : std::string{"whole: all of it read"})
                                              : "stored bytes are whole; no identity here to read them");
      json["backups"].push_back({{"label", entry.manifest.label}, {"whole", found.whole}, {"read", found.read}, {"rows", found.rows}, {"damage", found.damage}, {"trusted", !found.untrusted}});
      if (!found.whole) result.exit = Exit::unhealthy;
    }
    for (const auto& it : broken) {
      result.text += fmt::format("  {}  DAMAGED: {}\n", it.label, it.why);
      json["backups"].push_back({{"label", it.label}, {"whole", false}, {"read", false}, {"rows", 0}, {"damage", it.why}});
      result.exit = Exit::unhealthy;
    }
    json["exit"] = static_cast<int>(result.exit);
    result.json = json.dump();
    return result;
  }

 private:
  std::string environment_, backup_{"latest"};
  std::optional<std::string> store_;
};

class Prune final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const bool dry_run = services.options().dry_run;
    const auto pruning = backup::prune(place.catalogue(), place.policy(), services.clock().now(), dry_run, services.limits(), place.origin());
    Json json{{"exit", 0}, {"dry_run", dry_run}, {"removed", pruning.removed}, {"backups", Json::array()}};
    std::string text;
    for (const auto& verdict : pruning.verdicts) {
      std::string reasons;
      for (const auto& reason : verdict.reasons) reasons += (reasons.empty() ? "" : ", ") + reason;
      text += fmt::format("  {} {}  {}\n", verdict.keep ? "=" : "-", verdict.label, reasons);
      json["backups"].push_back({{"label", verdict.label}, {"keep", verdict.keep}, {"reasons", verdict.reasons}});
    }
    for (const auto& it : pruning.unreadable) {
      text += fmt::format("  = {}  can't be used, and no rule counts or removes it: {}; codops backup rm {} {}\n", it.label, it.why, environment_, it.label);
      json["backups"].push_back({{"label", it.label}, {"keep", true}, {"reasons", {"its manifest can't be read: no rule removes it"}}, {"damage", it.why}});
    }
    text += dry_run ? fmt::format("{} would go\n", pruning.removed.size()) : fmt::format("{} removed\n", pruning.removed.size());
    return {Exit::ok, text, json.dump(), !dry_run};
  }

 private:
  std::string environment_;
  std::optional<std::string> store_;
};

class Remove final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label (its newest), a stamp, or latest; a damaged one by its stamp");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const auto what = find(place.catalogue(), services.limits());
    const Json json{{"exit", 0}, {"dry_run", services.options().dry_run}, {"removed", {what.stamp}}};
    if (what.pinned) throw Failure{Exit::usage, fmt::format("backup {} is pinned", what.stamp), what.unpin};
    if (services.options().dry_run) return {Exit::ok, fmt::format("  - {}\n", what.stamp), json.dump()};
    if (!services.confirm(fmt::format("remove backup {} ({})?", what.stamp, what.about))) return {Exit::failed, "nothing was removed\n", {}};
    place.catalogue().remove(what.stamp, services.limits());
    return {Exit::ok, fmt::format("{} removed\n", what.stamp), json.dump(), true};
  }

 private:
  struct Found {
    std::string stamp, about, unpin;
    bool pinned{};
  };

  // Not as show and restore do: what is damaged or not trusted may go too.
  Found find(backup::Catalogue& catalogue, const Limits& limits) const {
    std::vector<backup::Broken> broken;
    const auto entries = catalogue.list(limits, &broken);
    for (const auto& it : broken) {
      if (it.label == backup_) return {it.label, it.why, "its manifest can't be read, only its marks.json: remove that first", it.pinned};
    }
    const auto* entry = backup::named(entries, backup_);
    if (entry == nullptr) throw Failure{Exit::usage, fmt::format("no backup \"{}\"", backup_), "see: codops backup list " + environment_};
    const auto sound = std::count_if(entries.begin(), entries.end(), [](const auto& one) { return one.sound(); });
    const auto& label = entry->manifest.label;
    return {label, fmt::format("{}{}", format_bytes(entry->manifest.size()), sound == 1 && entry->sound() ? ", the last sound one" : ""),
            fmt::format("codops backup pin {} {} --off", environment_, label), entry->marks.pinned};
  }

  std::string environment_, backup_;
  std::optional<std::string> store_;
};

class Pin final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label (its newest), a stamp, or latest");
    parameters.flag("--off", off_, "takes the pin away");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const auto label = place.find(backup_).manifest.label;
    place.catalogue().mark(label, [&](backup::Marks& marks) { marks.pinned = !off_; }, services.limits());
    return {Exit::ok, fmt::format("{} is {}\n", label, off_ ? "no longer pinned" : "pinned: no rule removes it"), {}, true};
  }

 private:
  std::string environment_, backup_;
  std::optional<std::string> store_;
  bool off_{};
};

}  // namespace

std::unique_ptr<Command> make_backup_verify() { return make_command<Verify>(); }
std::unique_ptr<Command> make_backup_prune() { return make_command<Prune>(); }
std::unique_ptr<Command> make_backup_rm() { return make_command<Remove>(); }
std::unique_ptr<Command> make_backup_pin() { return make_command<Pin>(); }

}  // namespace codops::commands
