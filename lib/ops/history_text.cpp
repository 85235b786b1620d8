#include "lib/ops/history_text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"

namespace codops::ops {
namespace {

using Ordered = nlohmann::ordered_json;
using release::HistoryEntry;
using release::Snapshot;

std::string outcome_word(const HistoryEntry& entry) {
  if (entry.result == "ok") return "ok";
  return entry.failed_step.empty() ? entry.result : fmt::format("{} at {}", entry.result, entry.failed_step);
}

const HistoryEntry& find(const Snapshot& snapshot, const std::string& which) {
  const bool by_release = which.starts_with('r');
  const auto digits = which.substr(by_release ? 1 : 0);
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error == std::errc{} && end == digits.data() + digits.size()) {
    for (auto entry = snapshot.history.rbegin(); entry != snapshot.history.rend(); ++entry) {
      if ((by_release ? entry->release : entry->number) == number) return *entry;
    }
  }
  throw Failure{Exit::usage, fmt::format("the history has no entry \"{}\"", which), snapshot.environment.empty() ? "nothing was deployed yet" : fmt::format("codops history {} lists them", snapshot.environment)};
}

Ordered entry_json(const HistoryEntry& entry) { return Ordered::parse(to_json(entry)); }

std::string journal_of(const plan::Record& record) {
  auto text = fmt::format("{}{}\n", record.run, record.ended() ? "" : "   unfinished");
  for (const auto& entry : record.entries) {
    text += fmt::format("  {:>3}  {}  {:<8}  {:<9}  {}\n", entry.seq, to_rfc3339(entry.at), entry.event, entry.step, entry.text);
  }
  for (const auto& path : record.damaged) text += fmt::format("  damaged: {}\n", path);
  return text;
}

const std::string* evidence_of(const Snapshot& snapshot, const HistoryEntry& entry) {
  const auto found = snapshot.evidence.find(entry.run + "/evidence.json");
  return found == snapshot.evidence.end() ? nullptr : &found->second;
}

std::string evidence_text(const std::string& evidence, bool with_logs) {
  const auto json = Ordered::parse(evidence, nullptr, false);
  if (!json.is_object()) return "  evidence can't be read\n";
  std::string text;
  for (const auto& container : json.value("containers", Ordered::array())) {
    text += fmt::format("\n  {}  exit code {}{}{}\n", container.value("container", ""), container.value("exit_code", 0),
                        container.value("oom_killed", false) ? ", out of memory" : "",
                        container.value("restart_count", 0) > 0 ? fmt::format(", {} restarts", container.value("restart_count", 0)) : "");
    for (const auto& probe : container.value("health", Ordered::array())) {
      text += fmt::format("    health  {}  exit {}  {}\n", probe.value("at", ""), probe.value("exit_code", 0), probe.value("output", ""));
    }
    const auto log = container.value("log", Ordered::array());
    const std::size_t shown = with_logs ? log.size() : std::min<std::size_t>(log.size(), 5);
    for (std::size_t index = log.size() - shown; index < log.size(); ++index) text += fmt::format("  │ {}\n", log[index].get<std::string>());
    if (shown < log.size()) text += fmt::format("    {} more lines: --logs\n", log.size() - shown);
  }
  const auto events = json.value("events", Ordered::array());
  if (with_logs && !events.empty()) {
    text += "\n  engine events\n";
    for (const auto& event : events) {
      text += fmt::format("    {}  {}  {}{}\n", event.value("at", ""), event.value("container", ""), event.value("action", ""),
                          event.value("exit_code", "").empty() ? "" : " (exit code " + event.value("exit_code", "") + ")");
    }
  }
  if (json.contains("incomplete")) text += fmt::format("  incomplete: {}\n", json.at("incomplete").get<std::string>());
  return text;
}

}  // namespace

std::string history_text(const Snapshot& snapshot, const std::string& environment, WallTime now, std::size_t last) {
  std::string harm;
  for (const auto& path : snapshot.damaged) harm += fmt::format("damaged: {} can't be read\n", path);
  if (snapshot.history.empty()) return harm + fmt::format("nothing was deployed to {} yet\n", environment);
  const auto shown = std::min(last, snapshot.history.size());
  std::size_t action = 8, version = 12, result = 17;
  for (auto entry = snapshot.history.rbegin(); entry != snapshot.history.rbegin() + static_cast<std::ptrdiff_t>(shown); ++entry) {
    action = std::max(action, entry->action.size());
    version = std::max(version, entry->version.size());
    result = std::max(result, outcome_word(*entry).size());
  }
  auto text = fmt::format("    N  {:<{}}  RELEASE  {:<{}}  {:<{}}  TOOK      WHEN       BY\n", "ACTION", action, "VERSION", version, "RESULT", result);
  const auto* current = snapshot.current();
  bool marked = false;
  for (auto entry = snapshot.history.rbegin(); entry != snapshot.history.rbegin() + static_cast<std::ptrdiff_t>(shown); ++entry) {
    const bool serves = !marked && current != nullptr && entry->result == "ok" && entry->release == current->number;
    marked = marked || serves;
    text += fmt::format("{} {:>3}  {:<{}}  {:>7}  {:<{}}  {:<{}}  {:<8}  {:<9}  {}\n", serves ? "*" : " ", entry->number, entry->action, action,
                        entry->release, entry->version, version, outcome_word(*entry), result, format_duration(entry->ended - entry->started), format_age(now - entry->ended), entry->by);
  }
  const auto broken = release::broken_links(snapshot.history);
  if (!broken.empty()) text += fmt::format("altered, or what came before them was removed: entries {}\n", fmt::join(broken, ", "));
  text += harm;
  if (const auto* record = snapshot.unfinished()) text += fmt::format("unfinished: {} (codops resume {}, or abort)\n", record->run, environment);
  return text;
}

std::string history_json(const Snapshot& snapshot) {
  Ordered json{{"exit", 0}, {"entries", Ordered::array()}, {"broken", release::broken_links(snapshot.history)}, {"damaged", snapshot.damaged}, {"journals", Ordered::array()}};
  for (const auto& entry : snapshot.history) json["entries"].push_back(entry_json(entry));
  for (const auto& record : snapshot.journals) {
    Ordered one{{"run", record.run}, {"ended", record.ended()}, {"entries", Ordered::array()}};
    for (const auto& entry : record.entries) {
      one["entries"].push_back({{"seq", entry.seq}, {"at", to_rfc3339(entry.at)}, {"event", entry.event}, {"step", entry.step}, {"text", entry.text}});
    }
    json["journals"].push_back(std::move(one));
  }
  return json.dump();
}

std::string story_text(const Snapshot& snapshot, const std::string& which, bool with_logs, bool with_journal) {
  const auto& entry = find(snapshot, which);
  auto text = fmt::format("{} {} → release {} ({})   {}\n", entry.action, entry.from_version.empty() ? "" : fmt::format("release {} ({})", entry.from, entry.from_version),
                          entry.release, entry.version, outcome_word(entry));
  text += fmt::format("  {} · {} · by {} on {}\n", to_rfc3339(entry.started), format_duration(entry.ended - entry.started), entry.by, entry.host);
  if (!entry.message.empty()) text += fmt::format("  {}\n", entry.message);
  for (const auto& record : snapshot.journals) {
    if (record.run != entry.run) continue;
    for (const auto& one : record.entries) {
      if (one.event == "done" && one.step == plan::on_failure && !one.text.empty()) text += fmt::format("  {}\n", one.text == "not known" ? "its on_failure hooks may not have run to their end" : one.text);
    }
    if (with_journal) {
      text += "\n" + journal_of(record);
    } else if (const auto plan = record.plan()) {
      text += "\n" + steps_text(*plan);
    }
  }
  if (const auto* evidence = evidence_of(snapshot, entry)) text += evidence_text(*evidence, with_logs);
  if (const auto release = snapshot.releases.find(entry.release); release != snapshot.releases.end()) {
    text += "\n  services\n";
    for (const auto& service : release->second.services) {
      text += fmt::format("    {:<12} {} ×{}  {}\n", service.name, service.image, service.members.size(), service.image_id.substr(0, 19));
    }
  }
  return text;
}

std::string story_json(const Snapshot& snapshot, const std::string& which) {
  const auto& entry = find(snapshot, which);
  Ordered json = entry_json(entry);
  json["exit_of_run"] = entry.exit;
  json["exit"] = 0;
  if (const auto release = snapshot.releases.find(entry.release); release != snapshot.releases.end()) json["record"] = Ordered::parse(to_json(release->second));
  if (const auto* evidence = evidence_of(snapshot, entry)) json["evidence"] = Ordered::parse(*evidence, nullptr, false);
  return json.dump();
}

std::string journal_text(const Snapshot& snapshot) {
  std::string text;
  for (const auto& record : snapshot.journals) text += journal_of(record) + "\n";
  return text.empty() ? "no journal is kept\n" : text;
}

}  // namespace codops::ops
