// `codops backup list` and `show`: what there is.
#include <nlohmann/json.hpp>

#include "commands/backup.hpp"
#include "commands/backup_place.hpp"
#include "lib/base/units.hpp"
#include "lib/text/printable.hpp"

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
            {"damage", entry.trust == backup::Trust::invalid && entry.marks.damage.empty() ? "it is not signed by the trusted key" : entry.marks.damage},
            {"pinned", entry.marks.pinned}};
  json["verified"] = to_rfc3339(entry.marks.verified.value_or(manifest.finished));
  if (entry.marks.drilled) json["drilled"] = to_rfc3339(*entry.marks.drilled);
  if (entry.marks.drill_took) json["drill_seconds"] = static_cast<double>(entry.marks.drill_took->count()) / 1000;
  return json;
}

// The state in one word, as JSON has it and, where nothing is wrong, the text too.
std::string_view state_of(const backup::Entry& entry) {
  return entry.sound() ? "verified" : entry.marks.damage.empty() ? "untrusted" : "damaged";
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
    std::vector<backup::Broken> broken;
    const auto entries = place.catalogue().list(services.limits(), &broken);
    const auto verdicts = backup::prune(place.catalogue(), place.policy(), now, true, services.limits(), place.origin()).verdicts;
    std::map<std::string, backup::Verdict> by_label;
    for (const auto& verdict : verdicts) by_label[verdict.label] = verdict;

    std::map<std::string, Row> rows;
    for (const auto& entry : entries) rows[entry.manifest.label] = row_of(entry, by_label[entry.manifest.label], now);
    for (const auto& it : broken) rows[it.label] = row_of(it);
    Json json{{"exit", 0}, {"environment", environment_}, {"store", place.catalogue().store().describe()}, {"backups", Json::array()}};
    std::string text = fmt::format(line, "BACKUP", "AGE", "SIZE", "STATE", "DRILLED", "KEPT BECAUSE");
    for (auto at = rows.rbegin(); at != rows.rend(); ++at) {
      text += at->second.text;
      json["backups"].push_back(std::move(at->second.json));
    }
    for (const auto& unfinished : place.catalogue().unfinished(now, services.limits())) {
      if (!unfinished.stale) text += fmt::format("  {:<17} in progress, by pid {} on {}\n", unfinished.label, unfinished.pid, unfinished.host);
    }
    if (rows.empty()) text = fmt::format("no backup of {} in {}\n  take one:  codops backup {}\n", environment_, place.catalogue().store().describe(), environment_);
    return {Exit::ok, text, json.dump()};
  }

 private:
  struct Row {
    std::string text;
    Json json;
  };
  static constexpr auto line = "  {:<17} {:>9} {:>9}  {:<10} {:<10} {}\n";

  static Row row_of(const backup::Entry& entry, const backup::Verdict& verdict, WallTime now) {
    const auto& manifest = entry.manifest;
    auto because = verdict.reasons.empty() ? std::string{} : verdict.keep ? verdict.reasons.front() : "– next prune removes it";
    if (!manifest.tag.empty()) because += fmt::format("  ({})", manifest.tag);
    const auto drilled = entry.marks.drilled ? short_age(now - *entry.marks.drilled) : "–";
    Row row;
    row.text = fmt::format(line, manifest.label, short_age(now - manifest.finished), format_bytes(manifest.size()),
                           entry.marks.damage.empty() ? state_of(entry) : "DAMAGED", drilled, because);
    row.json = to_json(entry);
    row.json["state"] = state_of(entry);
    row.json["keep"] = verdict.keep || verdict.reasons.empty();
    row.json["reasons"] = verdict.reasons;
    return row;
  }

  static Row row_of(const backup::Broken& it) {
    Row row;
    row.text = fmt::format(line, it.label, "?", "?", "DAMAGED", "–", fmt::format("{}{}", it.pinned ? "pinned; " : "", it.why));
    row.json = Json{{"label", it.label}, {"sound", false}, {"state", "damaged"}, {"damage", it.why}, {"pinned", it.pinned}, {"keep", true},
                    {"reasons", {"its manifest can't be read: no rule removes it"}}};
    return row;
  }

  static std::string short_age(Milliseconds age) { return age.count() < 0 ? "future" : format_age(age); }

  std::string environment_;
  std::optional<std::string> store_;
};

class Show final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label (its newest), a stamp, or latest");
    parameters.option("--store", "DIR", store_, "instead of backup.store");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const auto entry = place.find(backup_);
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
      text += fmt::format("  {:<28} {:>9}  sha256 {}…  {}\n", part.name, format_bytes(part.size), part.sha256.substr(0, 12), text::printable(part.subject, 200));
    }
    std::size_t shown = 0;
    for (const auto& table : manifest.tables) {
      if (++shown > 40) break;
      text += fmt::format("  {:<50} {:>14} rows\n", text::printable(table.table, 200), table.rows);
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
