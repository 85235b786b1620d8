// `codops backup list` and `show`: what there is.
#include <nlohmann/json.hpp>

#include "commands/backup.hpp"
#include "commands/backup_place.hpp"
#include "lib/base/units.hpp"

namespace codops::commands {
namespace {

using Json = nlohmann::ordered_json;

std::string_view trust_word(backup::Trust trust) {
  return trust == backup::Trust::valid ? "signed" : trust == backup::Trust::invalid ? "not trusted" : "unsigned";
}

Json to_json(const backup::Entry& entry) {
  const auto& manifest = entry.manifest;
  Json json{{"label", manifest.label},
            {"tag", manifest.tag},
            {"started", to_rfc3339(manifest.started)},
            {"finished", to_rfc3339(manifest.finished)},
            {"size", manifest.size()},
            {"plain_size", manifest.plain_size()},
            {"rows", manifest.rows()},
            {"encrypted", manifest.encrypted},
            {"signature", trust_word(entry.trust)},
            {"sound", entry.sound()},
            {"damage", entry.marks.damage},
            {"pinned", entry.marks.pinned}};
  json["verified"] = to_rfc3339(entry.marks.verified.value_or(manifest.finished));
  if (entry.marks.drilled) json["drilled"] = to_rfc3339(*entry.marks.drilled);
  if (entry.marks.drill_took) json["drill_seconds"] = static_cast<double>(entry.marks.drill_took->count()) / 1000;
  return json;
}

class List final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const auto now = services.clock().now();
    std::vector<std::string> broken;
    const auto entries = place.catalogue().list(services.limits(), &broken);
    const auto verdicts = backup::prune(place.catalogue(), place.policy(), now, true, services.limits()).verdicts;
    std::map<std::string, const backup::Verdict*> by_label;
    for (const auto& verdict : verdicts) by_label[verdict.label] = &verdict;

    Json json{{"exit", 0}, {"environment", environment_}, {"store", place.catalogue().store().describe()}, {"backups", Json::array()}};
    std::string text = fmt::format("  {:<17} {:>9} {:>9}  {:<10} {:<10} KEPT BECAUSE\n", "BACKUP", "AGE", "SIZE", "STATE", "DRILLED");
    for (auto at = entries.rbegin(); at != entries.rend(); ++at) {
      const auto* verdict = by_label.contains(at->manifest.label) ? by_label.at(at->manifest.label) : nullptr;
      auto row = to_json(*at);
      row["keep"] = verdict == nullptr || verdict->keep;
      row["reasons"] = verdict != nullptr ? verdict->reasons : std::vector<std::string>{};
      json["backups"].push_back(std::move(row));
      const auto because = verdict == nullptr ? "" : verdict->keep ? verdict->reasons.front() : "– next prune removes it";
      text += fmt::format("  {:<17} {:>9} {:>9}  {:<10} {:<10} {}{}\n", at->manifest.label,
                          short_age(now - at->manifest.finished), format_bytes(at->manifest.size()),
                          at->sound() ? "verified" : at->marks.damage.empty() ? "untrusted" : "DAMAGED",
                          at->marks.drilled ? short_age(now - *at->marks.drilled) : "–", because,
                          at->manifest.tag.empty() ? "" : fmt::format("  ({})", at->manifest.tag));
    }
    for (const auto& unfinished : place.catalogue().unfinished(now, services.limits())) {
      if (!unfinished.stale) text += fmt::format("  {:<17} in progress, by pid {} on {}\n", unfinished.label, unfinished.pid, unfinished.host);
    }
    if (entries.empty()) text = fmt::format("no backup of {} in {}\n  take one:  codops backup {}\n", environment_, place.catalogue().store().describe(), environment_);
    for (const auto& message : broken) services.reporter().warn(message);
    json["broken"] = broken;
    return {Exit::ok, text, json.dump()};
  }

 private:
  static std::string short_age(Milliseconds age) { return age.count() < 0 ? "future" : format_age(age); }

  std::string environment_;
  std::optional<std::string> store_;
};

class Show final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label, a tag, or latest");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const auto entry = place.catalogue().find(backup_, services.limits());
    const auto& manifest = entry.manifest;
    auto json = Json::parse(backup::to_json(manifest));
    json["exit"] = 0;
    json["marks"] = to_json(entry);
    std::string text = fmt::format("{}  {}  {}\n", manifest.label, to_rfc3339(manifest.started), manifest.tag);
    text += fmt::format("  taken      on {} by codops {}, in {}\n", manifest.host, manifest.codops_version,
                        format_duration(manifest.finished - manifest.started));
    if (manifest.database) {
      text += fmt::format("  database   {} of PostgreSQL {}, dumped by {}\n", manifest.database->name,
                          manifest.database->server_version, manifest.database->dump_version);
    }
    text += fmt::format("  state      {}, {}{}\n", entry.sound() ? "verified" : "NOT SOUND", trust_word(entry.trust), manifest.encrypted ? ", encrypted" : ", not encrypted");
    if (!entry.marks.damage.empty()) text += fmt::format("  damage     {}\n", entry.marks.damage);
    for (const auto& part : manifest.parts) {
      text += fmt::format("  {:<28} {:>9}  sha256 {}…  {}\n", part.name, format_bytes(part.size), part.sha256.substr(0, 12), part.subject);
    }
    std::size_t shown = 0;
    for (const auto& table : manifest.tables) {
      if (++shown > 40) break;
      text += fmt::format("  {:<50} {:>14} rows\n", table.table, table.rows);
    }
    if (manifest.tables.size() > 40) text += fmt::format("  and {} tables more: --output json\n", manifest.tables.size() - 40);
    return {Exit::ok, text, json.dump()};
  }

 private:
  std::string environment_, backup_{"latest"};
  std::optional<std::string> store_;
};

}  // namespace

std::unique_ptr<Command> make_backup_list() { return make_command<List>(); }
std::unique_ptr<Command> make_backup_show() { return make_command<Show>(); }

}  // namespace codops::commands
