// The backups in a store. Finding one by a name is in catalogue_find.cpp.
#include "lib/backup/catalogue.hpp"

#include "lib/backup/hints.hpp"
#include "lib/backup/reading.hpp"

#include <nlohmann/json.hpp>

#include "lib/store/lock_text.hpp"
#include "lib/store/process_identity.hpp"
#include "lib/base/failure.hpp"

namespace codops::backup {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto manifest_name = "manifest.json";
constexpr auto signature_name = "manifest.sig";
constexpr auto progress_name = "in-progress.json";
constexpr auto marks_name = "marks.json";
// Somebody else's machine may still be at it; a backup that takes longer than this is lost.
constexpr std::chrono::hours stale_after{48};

const char* impossible_stamp = "its stamp is of no date that there is, or too far ahead of the clock";

// What verify once left in the marks although only its reader's key was another.
constexpr std::string_view reader_distrusts = "the manifest is not signed by the trusted key";

// What can't be read may have said that it is pinned.
Marks unreadable_marks() {
  Marks marks;
  marks.pinned = marks.unreadable = true;
  return marks;
}

Marks parse_marks(const std::string& text) try {
  const auto json = Json::parse(text, nullptr, false);
  Marks marks;
  if (!json.is_object()) return unreadable_marks();
  marks.pinned = json.value("pinned", false);
  marks.verified = parse_rfc3339(json.value("verified", ""));
  marks.damage = json.value("damage", "");
  if (marks.damage == reader_distrusts) marks.damage.clear();
  marks.drilled = parse_rfc3339(json.value("drilled", ""));
  if (json.contains("drill_ms")) marks.drill_took = Milliseconds{json.value("drill_ms", 0)};
  return marks;
} catch (const nlohmann::json::exception&) {
  return unreadable_marks();
}

std::string to_json(const Marks& marks) {
  Json json{{"pinned", marks.pinned}, {"damage", marks.damage}};
  if (marks.verified) json["verified"] = to_rfc3339(*marks.verified);
  if (marks.drilled) json["drilled"] = to_rfc3339(*marks.drilled);
  if (marks.drill_took) json["drill_ms"] = marks.drill_took->count();
  return json.dump(1) + "\n";
}

Trust judge(const std::string& manifest, const std::optional<std::string>& signature, const std::string& trusted) {
  if (!signature) return trusted.empty() ? Trust::unsigned_ : Trust::invalid;
  const auto space = signature->find(' ');
  auto text = space == std::string::npos ? std::string{} : signature->substr(space + 1);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto key = io::from_base64(std::string_view{*signature}.substr(0, space));
  const auto bytes = io::from_base64(text);
  if (!key || !bytes || (!trusted.empty() && *key != trusted)) return Trust::invalid;
  return io::ed25519_verify(*key, manifest, *bytes) ? Trust::valid : Trust::invalid;
}

}  // namespace

const Clock& machine_clock() {
  static const SystemClock clock;
  return clock;
}

Catalogue::Catalogue(store::Store& store, std::string folder, std::string trusted, const Clock& clock)
    : store_{store}, folder_{std::move(folder)}, trusted_{std::move(trusted)}, clock_{clock} {
  store::check_name(folder_);
}

std::map<std::string, Catalogue::Objects> Catalogue::labels(const Limits& limits, std::map<std::string, Objects>* impossible) {
  std::map<std::string, Objects> found;
  const auto now = clock_.now();
  for (const auto& object : store_.list(folder_, limits)) {
    const auto rest = std::string_view{object.name}.substr(folder_.size() + 1);
    const auto slash = rest.find('/');
    if (slash == std::string_view::npos || !looks_like_label(rest.substr(0, slash))) continue;
    const bool possible = is_label(rest.substr(0, slash), now);
    if (!possible && impossible == nullptr) continue;
    (possible ? found : *impossible)[std::string{rest.substr(0, slash)}].emplace(rest.substr(slash + 1), object.size);
  }
  return found;
}

std::string Catalogue::missing(const Manifest& manifest, const Objects& objects, const Limits& limits) {
  for (const auto& part : manifest.parts) {
    const auto listed = objects.find(part.name);
    if (listed != objects.end() && listed->second == part.size) continue;
    // It may have been published while the listing was made: only what is asked for by name decides.
    const auto found = store_.find(object(manifest.label, part.name), limits);
    if (!found) return part.name + " is gone";
    if (found->size != part.size) return fmt::format("{} has {} bytes, not {}", part.name, found->size, part.size);
  }
  return {};
}

std::optional<Entry> Catalogue::read(const std::string& label, const Limits& limits) {
  const auto text = store_.get(object(label, manifest_name), limits);
  if (!text) return std::nullopt;
  Entry entry;
  entry.manifest = parse_manifest(*text);
  const auto& manifest = entry.manifest;
  if (manifest.label != label) throw Failure{Exit::data, fmt::format("it has the manifest of {}", manifest.label)};
  if (!manifest.folder.empty() && manifest.folder != folder_) {
    throw Failure{Exit::data, fmt::format("it is one of {}, not of {}", manifest.folder, folder_)};
  }
  entry.trust = judge(*text, store_.get(object(label, signature_name), limits), trusted_);
  if (const auto marks = store_.get(object(label, marks_name), limits)) entry.marks = parse_marks(*marks);
  return entry;
}

// For a manifest that can't be read: its marks may be no better.
bool Catalogue::pinned(const std::string& label, const Limits& limits) try {
  const auto marks = store_.get(object(label, marks_name), limits);
  return marks && parse_marks(*marks).pinned;
} catch (const Failure& failure) {
  if (failure.code() != Exit::data) throw;
  return false;
}

std::vector<Entry> Catalogue::list(const Limits& limits, std::vector<Broken>* broken) {
  std::vector<Entry> entries;
  std::map<std::string, Objects> impossible;
  for (const auto& [label, objects] : labels(limits, &impossible)) {
    if (!objects.contains(manifest_name)) continue;
    try {
      auto entry = read(label, limits);
      if (!entry) continue;
      if (auto damage = missing(entry->manifest, objects, limits); !damage.empty()) entry->marks.damage = std::move(damage);
      entries.push_back(std::move(*entry));
    } catch (Failure& failure) {
      if (failure.code() != Exit::data) throw;
      if (broken == nullptr) {
        failure.add_context("backup " + label);
        throw;
      }
      broken->push_back({label, failure.message(), failure.hint(), objects.contains(marks_name) && pinned(label, limits)});
    }
  }
  for (const auto& [label, objects] : impossible) {
    if (broken == nullptr || !objects.contains(manifest_name)) continue;
    broken->push_back({label, impossible_stamp, {}, objects.contains(marks_name) && pinned(label, limits), false});
  }
  return entries;
}

std::vector<Unfinished> Catalogue::unfinished(WallTime now, const Limits& limits) {
  auto all = marked(now, limits);
  std::erase_if(all, [](const Unfinished& it) { return it.published; });
  return all;
}

std::vector<Unfinished> Catalogue::marked(WallTime now, const Limits& limits) {
  std::vector<Unfinished> all;
  for (const auto& [label, objects] : labels(limits)) {
    const auto has = [&names = objects](const char* name) { return names.contains(name); };
    Unfinished it;
    it.label = label;
    it.published = has(manifest_name);
    if (it.published && !has(progress_name)) continue;
    const auto text = store_.get(object(label, progress_name), limits);
    const auto json = Json::parse(text.value_or(""), nullptr, false);
    try {
      if (!json.is_object()) throw Failure{Exit::data, "no marker"};
      it.host = json.value("host", "");
      it.pid = json.value("pid", std::int64_t{});
      it.started = parse_rfc3339(json.value("started", ""));
      const store::ProcessIdentity owner{json.value("boot_id", ""), json.value("pid_namespace", ""), it.pid,
                                  json.value("start_time", std::uint64_t{})};
      const auto age = it.started ? now - *it.started : stale_after;
      it.stale = store::is_gone(owner) || age >= stale_after || age <= -stale_after;
    } catch (const std::exception&) {
      it.stale = true;  // the marker is written first and removed last
    }
    all.push_back(std::move(it));
  }
  return all;
}

std::optional<std::string> Catalogue::newest_label(const Limits& limits) {
  const auto all = labels(limits);
  if (all.empty()) return std::nullopt;
  return all.rbegin()->first;
}

void Catalogue::begin(const std::string& label, WallTime now, const Limits& limits) {
  // Whatever it is, it would become a part of this one.
  if (!store_.list(folder_ + "/" + label, limits).empty()) {
    throw Failure{Exit::data, fmt::format("there is something under {} in {} already; nothing was written", label, store_.describe()), see_list(*this)};
  }
  const auto self = store::this_process();
  const Json json{{"label", label},
                  {"started", to_rfc3339(now)},
                  {"host", store::host_name()},
                  {"pid", self.pid},
                  {"start_time", self.start_time},
                  {"boot_id", self.boot_id},
                  {"pid_namespace", self.pid_namespace}};
  store_.put(object(label, progress_name), json.dump(1) + "\n", limits);
}

void Catalogue::publish(const Manifest& manifest, const std::optional<io::SigningKey>& key, const Limits& limits) {
  const auto text = backup::to_json(manifest);
  const auto taken = [&] {
    return Failure{Exit::data, fmt::format("backup {} is in {} already: it stays, and this one is not published", manifest.label, store_.describe()), see_list(*this)};
  };
  if (store_.find(object(manifest.label, manifest_name), limits)) throw taken();
  if (key) {
    const auto signature = io::to_base64(key->public_key) + " " + io::to_base64(io::ed25519_sign(*key, text)) + "\n";
    store_.put(object(manifest.label, signature_name), signature, limits, store::Retain::yes);
  }
  if (!store_.put_new(object(manifest.label, manifest_name), text, limits)) throw taken();
  store_.remove(object(manifest.label, progress_name), limits);
}

// Whoever pins it and whoever verifies it may come in the same moment. A store that gives no lock in time has it as before.
std::unique_ptr<store::StoreLock> Catalogue::lock_marks(const Limits& limits) {
  const auto patience = limits.within(Milliseconds{20'000});
  try {
    for (;;) {
      if (auto lock = store_.try_lock(folder_ + "/marks", patience)) return lock;
      if (patience.deadline.remaining() < Milliseconds{200}) return nullptr;
      limits.within(Milliseconds{100}).wait(-1, 0);
    }
  } catch (const Failure& failure) {
    if (failure.code() != Exit::failed && failure.code() != Exit::config) throw;
    return nullptr;  // what may not be written says so itself
  }
}

void Catalogue::mark(const std::string& label, const std::function<void(Marks&)>& change, const Limits& limits) {
  const auto alone = lock_marks(limits);
  const auto text = store_.get(object(label, marks_name), limits);
  auto marks = text ? parse_marks(*text) : Marks{};
  change(marks);
  store_.put(object(label, marks_name), to_json(marks), limits);
}

void Catalogue::remove(const std::string& label, const Limits& limits) {
  const auto refuse = [&](const std::string& why) {
    return Failure{Exit::locked, fmt::format("backup {} in {} is {}: it stays", label, store_.describe(), why), "another time"};
  };
  const auto manifest = object(label, manifest_name);
  std::optional<std::string> text;
  try {
    text = store_.get(manifest, limits);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::data) throw;  // damaged, and therefore removed
  }
  if (text || store_.find(manifest, limits)) {
    if (const auto why = held_by(label, limits); !why.empty()) throw refuse(why);
    store_.remove(manifest, limits);
    // Whoever came between the look and the removal has seen it there, and relies on it.
    if (const auto reader = reader_of(label, limits); text && !reader.empty()) {
      store_.put_new(manifest, *text, limits);
      throw refuse(reader);
    }
  }
  for (const auto& object : store_.list(folder_ + "/" + label, limits)) {
    if (object.name != this->object(label, progress_name)) store_.remove(object.name, limits);
  }
  store_.remove(object(label, progress_name), limits);
  store_.sweep(folder_ + "/" + label, limits);
}

bool Catalogue::published(const std::string& label, const Limits& limits) { return store_.find(object(label, manifest_name), limits).has_value(); }

std::string Catalogue::held_by(const std::string& label, const Limits& limits) {
  // In a bucket with versions a removal would work, and only hide it.
  if (const auto until = store_.retained_until(object(label, manifest_name), limits)) return "locked in the store until " + to_rfc3339(*until);
  return reader_of(label, limits);
}

std::string Catalogue::reader_of(const std::string& label, const Limits& limits) {
  const auto folder = folder_ + "/" + label;
  for (const auto& it : store_.list(folder, limits)) {
    if (!is_reading(std::string_view{it.name}.substr(folder.size() + 1))) continue;
    const auto text = store_.get(it.name, limits);
    if (text && is_at_work(*text, clock_.now())) return "being read by " + store::parse_lock_text(*text).holder.text();
  }
  return {};
}

void Catalogue::remove_stale(WallTime now, const Limits& limits) {
  for (const auto& [label, objects] : labels(limits)) {
    for (const auto& [part, size] : objects) {
      if (!is_reading(part)) continue;
      const auto text = store_.get(object(label, part), limits);
      if (text && !is_at_work(*text, now)) store_.remove(object(label, part), limits);
    }
  }
  for (const auto& it : marked(now, limits)) {
    if (!it.stale) continue;
    // It died between the manifest and the end: the backup is whole, only the marker goes.
    if (it.published) {
      store_.remove(object(it.label, progress_name), limits);
      continue;
    }
    try {
      remove(it.label, limits);
    } catch (const Failure& failure) {
      if (failure.code() != Exit::locked) throw;  // the store holds it: another time
    }
  }
}

}  // namespace codops::backup
