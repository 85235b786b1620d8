#include "lib/release/release_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace codops::release {
namespace {

using File = target::StateStore::File;

constexpr std::string_view releases_folder = "meta/releases/";
constexpr std::string_view secrets_folder = "secrets/";
constexpr std::string_view files_folder = "files/";
constexpr std::string_view mounts_folder = "mounts/";
constexpr std::string_view history_folder = "meta/history/";
constexpr std::string_view journal_folder = plan::journal_folder;
constexpr std::string_view evidence_folder = "meta/evidence/";
constexpr std::string_view environment_path = "meta/environment.json";
// A history entry and the journal's end, in blocks of 4 KiB, and two for the folders.
constexpr std::size_t spare_bytes = 16U << 10U;

std::string numbered(std::string_view folder, int number) { return fmt::format("{}{:06}.json", folder, number); }

// The run's name in "journal/RUN/000001.json".
std::string_view run_of(std::string_view path, std::string_view folder) {
  path.remove_prefix(folder.size());
  return path.substr(0, path.find('/'));
}

}  // namespace

const Release* Snapshot::current() const {
  for (auto entry = history.rbegin(); entry != history.rend(); ++entry) {
    if (entry->result != "ok") continue;
    if (entry->action == "down") return nullptr;
    const auto found = releases.find(entry->release);
    return found == releases.end() ? nullptr : &found->second;
  }
  return nullptr;
}

int Snapshot::last_number() const {
  int last = releases.empty() ? 0 : releases.rbegin()->first;
  for (const auto& entry : history) last = std::max(last, entry.release);
  for (const auto& journal : journals) {
    if (const auto plan = journal.plan()) last = std::max(last, plan->release);
  }
  return last;
}

int Snapshot::next_entry() const {
  int last = history.empty() ? 0 : history.back().number;
  for (const auto& path : paths) {
    if (!path.starts_with(history_folder)) continue;
    int number = 0;
    std::from_chars(path.data() + history_folder.size(), path.data() + path.size(), number);
    last = std::max(last, number);
  }
  return last + 1;
}

bool Snapshot::settled_by_history(const plan::Record& record) const {
  return std::any_of(history.begin(), history.end(), [&](const HistoryEntry& entry) { return entry.run == record.run && entry.result != "undo failed"; });
}

bool Snapshot::settled(const plan::Record& record) const { return record.ended() || settled_by_history(record); }

const plan::Record* Snapshot::unfinished() const {
  return journals.empty() || settled(journals.back()) ? nullptr : &journals.back();
}

namespace {

// A run that ended well by its journal and is in no history entry: its record was lost since. What it brought about serves all the same.
void tell_from_journals(Snapshot& snapshot) {
  for (const auto& record : snapshot.journals) {
    if (snapshot.settled_by_history(record)) continue;
    const auto plan = record.plan();
    const auto end = std::find_if(record.entries.begin(), record.entries.end(), [](const plan::Entry& entry) { return entry.event == "ended"; });
    if (!plan || end == record.entries.end() || end->text != "ok") continue;
    if (!snapshot.history.empty() && end->at <= snapshot.history.back().ended) continue;
    HistoryEntry entry;
    entry.number = snapshot.next_entry();
    entry.action = plan->verb;
    entry.release = plan->release;
    entry.version = plan->version;
    entry.from = plan->from;
    entry.from_version = plan->from_version;
    entry.started = record.entries.front().at;
    entry.ended = end->at;
    entry.result = "ok";
    entry.run = record.run;
    entry.message = "its record is gone; told from its journal";
    snapshot.history.push_back(std::move(entry));
  }
}

// A release whose record is damaged or gone: the plan that brought it about has it too.
void releases_from_journals(Snapshot& snapshot) {
  const HistoryEntry* newest = nullptr;
  for (const auto& entry : snapshot.history) {
    if (entry.result == "ok") newest = &entry;
  }
  const bool lost = newest != nullptr && newest->action != "down" && snapshot.releases.count(newest->release) == 0;
  if (!lost) return;
  const auto path = numbered(releases_folder, newest->release);
  if (std::find(snapshot.damaged.begin(), snapshot.damaged.end(), path) == snapshot.damaged.end()) snapshot.damaged.push_back(path);
  for (const auto& record : snapshot.journals) {
    const auto plan = record.plan();
    if (!plan || plan->release != newest->release) continue;
    const auto context = nlohmann::json::parse(plan->context, nullptr, false);
    if (!context.is_object() || !context.contains("next")) continue;
    try {
      snapshot.releases.insert_or_assign(newest->release, release_from_json(context.at("next").dump()));
    } catch (const nlohmann::json::exception&) {
      // Of another engine: it has nothing of the kind.
    }
  }
}

}  // namespace

Snapshot ReleaseStore::load(const Limits& limits) {
  Snapshot snapshot;
  std::vector<File> journal_files;
  for (auto& file : store_.read_all("meta", limits)) {
    const std::string_view path{file.path};
    snapshot.paths.push_back(file.path);
    try {
      if (path == environment_path) {
        snapshot.environment = nlohmann::json::parse(file.content).at("environment");
      } else if (path == "meta/maintenance.json") {
        const auto json = nlohmann::json::parse(file.content);
        snapshot.maintenance = json.value("on", true);
        snapshot.maintenance_settled = json.value("settled", true);
        snapshot.maintenance_file = json.value("file", std::string{});
      } else if (path.starts_with(releases_folder)) {
        auto release = release_from_json(file.content);
        snapshot.releases.emplace(release.number, std::move(release));
      } else if (path.starts_with(history_folder)) {
        snapshot.history.push_back(history_from_json(file.content));
      } else if (path.starts_with(journal_folder)) {
        journal_files.push_back(std::move(file));
      } else if (path.starts_with(evidence_folder)) {
        snapshot.evidence.emplace(std::string{path.substr(evidence_folder.size())}, std::move(file.content));
      }
    } catch (const nlohmann::json::exception&) {
      snapshot.damaged.emplace_back(path);
    } catch (const plan::NewerFormat&) {
      throw;  // not damage: acting on half the truth would lose what that codops wrote
    } catch (const Failure&) {
      snapshot.damaged.emplace_back(path);
    }
  }
  std::sort(snapshot.history.begin(), snapshot.history.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  snapshot.journals = plan::records_of(journal_files);
  for (const auto& record : snapshot.journals) {
    snapshot.damaged.insert(snapshot.damaged.end(), record.damaged.begin(), record.damaged.end());
  }
  tell_from_journals(snapshot);
  releases_from_journals(snapshot);
  return snapshot;
}

Specs ReleaseStore::load_specs(const Release& release, const Limits& limits) {
  const auto path = numbered(secrets_folder, release.number);
  const auto lost = [&](const std::string& why) {
    throw Failure{Exit::data, fmt::format("the stored definitions of release {} ({}) {}: {} in the state", release.number, release.version, why, path),
                  fmt::format("deploy a version again; release {} can't be gone back to", release.number)};
  };
  std::optional<std::string> text;
  try {
    text = store_.read(path, limits);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::data) throw;
    lost("can't be read (" + failure.message() + ")");
  }
  // Taken over from another tool: nothing was stored.
  if (!text && release.adopted) return {};
  if (!text) lost("are gone");
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) lost("can't be read");
  if (json.empty() && !release.services.empty() && !release.adopted) lost("are empty");
  Specs specs;
  for (const auto& [service, spec] : json.items()) specs.emplace(service, Secret{spec.dump()});
  return specs;
}

Specs ReleaseStore::find_specs(int release, const Limits& limits) {
  Specs specs;
  try {
    const auto json = nlohmann::json::parse(store_.read(numbered(secrets_folder, release), limits).value_or("{}"), nullptr, false);
    for (const auto& [service, spec] : json.items()) specs.emplace(service, Secret{spec.dump()});
  } catch (const Failure& failure) {
    if (failure.code() != Exit::data) throw;
  }
  return specs;
}

std::optional<std::string> ReleaseStore::load_blob(const std::string& sha256, const Limits& limits) {
  return store_.read(std::string{files_folder} + sha256, limits);
}

File ReleaseStore::file_of(const Release& release) { return {numbered(releases_folder, release.number), to_json(release)}; }

File ReleaseStore::file_of(const HistoryEntry& entry) { return {numbered(history_folder, entry.number), to_json(entry)}; }

File ReleaseStore::file_of(int release, const Specs& specs) {
  auto json = nlohmann::json::object();
  for (const auto& [service, spec] : specs) json[service] = nlohmann::json::parse(spec.reveal());
  return {numbered(secrets_folder, release), json.dump()};
}

File ReleaseStore::blob(const std::string& sha256, std::string content) {
  return {std::string{files_folder} + sha256, std::move(content)};
}

File ReleaseStore::mounted(const FileRef& file, std::string content) {
  return {fmt::format("{}{}-{:o}-{}-{}", mounts_folder, file.sha256, file.mode, file.uid, file.gid), std::move(content), file.mode, file.uid, file.gid};
}

std::string ReleaseStore::environment(const Limits& limits) {
  const auto file = store_.read(std::string{environment_path}, limits);
  const auto json = nlohmann::json::parse(file.value_or(""), nullptr, false);
  return json.is_object() && json.contains("environment") && json.at("environment").is_string() ? json.at("environment").get<std::string>() : std::string{};
}

File ReleaseStore::environment_file(const std::string& name) {
  return {std::string{environment_path}, nlohmann::json{{"format", 1}, {"environment", name}}.dump()};
}

File ReleaseStore::spare_room(bool kept) { return {"spare", std::string(kept ? spare_bytes : 0, '.')}; }

Retention prune_plan(const Snapshot& snapshot, int current, int keep, int keep_runs) {
  std::set<int> kept{current};
  int served = 0;
  for (auto entry = snapshot.history.rbegin(); entry != snapshot.history.rend(); ++entry) {
    if (entry->result != "ok" || kept.contains(entry->release) || snapshot.releases.count(entry->release) == 0) continue;
    if (served++ >= keep) break;
    kept.insert(entry->release);
  }
  Retention retention;
  std::set<std::string> needed, unneeded;
  for (const auto& [number, release] : snapshot.releases) {
    const bool is_kept = kept.contains(number);
    if (!is_kept) {
      retention.releases.push_back(number);
      retention.paths.push_back(numbered(releases_folder, number));
      retention.paths.push_back(numbered(secrets_folder, number));
    }
    for (const auto& service : release.services) {
      for (const auto& file : service.files) {
        auto& paths = is_kept ? needed : unneeded;
        paths.insert(std::string{files_folder} + file.sha256);
        if (file.mounted) paths.insert(ReleaseStore::mounted(file, {}).path);
      }
    }
  }
  std::set_difference(unneeded.begin(), unneeded.end(), needed.begin(), needed.end(), std::back_inserter(retention.paths));
  std::set<std::string, std::less<>> runs;
  for (const auto& record : snapshot.journals) runs.insert(record.run);
  for (const auto& [path, text] : snapshot.evidence) runs.insert(path.substr(0, path.find('/')));
  std::set<std::string, std::less<>> kept_runs;
  for (auto run = runs.rbegin(); run != runs.rend() && static_cast<int>(kept_runs.size()) < keep_runs; ++run) {
    kept_runs.insert(*run);
  }
  for (const auto& path : snapshot.paths) {
    for (const auto folder : {journal_folder, evidence_folder}) {
      if (path.starts_with(folder) && !kept_runs.contains(run_of(path, folder))) retention.paths.push_back(path);
    }
  }
  return retention;
}

}  // namespace codops::release
