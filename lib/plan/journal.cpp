#include "lib/plan/journal.hpp"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"
#include "lib/text/utf8.hpp"

namespace codops::plan {
namespace {

using Json = nlohmann::json;

constexpr int journal_format = 1;

std::string path_of(const std::string& run, int seq) { return fmt::format("{}{}/{:06}.json", journal_folder, run, seq); }

// 0: not the name of an entry.
int seq_in(std::string_view path) {
  const auto name = path.substr(path.rfind('/') + 1);
  int seq = 0;
  std::from_chars(name.data(), name.data() + name.size(), seq);
  return seq;
}

// Entries that another one names as the one before it, and that are not there.
void add_missing(Record& record) {
  for (const auto& entry : record.entries) {
    if (entry.prev == 0) continue;
    const auto path = path_of(record.run, entry.prev);
    const bool read = std::any_of(record.entries.begin(), record.entries.end(), [&](const Entry& other) { return other.seq == entry.prev; });
    const bool known = std::find(record.damaged.begin(), record.damaged.end(), path) != record.damaged.end();
    if (!read && !known) record.damaged.push_back(path);
  }
}

}  // namespace

std::string encode(const Entry& entry) {
  Json json{{"format", journal_format}, {"seq", entry.seq},   {"at", to_rfc3339(entry.at)},
            {"event", entry.event},     {"step", entry.step}, {"text", entry.text}};
  if (entry.prev > 0) json["prev"] = entry.prev;
  if (!entry.plan.empty()) json["plan"] = Json::parse(entry.plan);
  // What somebody else said may stand in a text: a journal that can't be written would leave the run without an end.
  json["text"] = text::replace_invalid_utf8(entry.text);
  json["sum"] = io::sha256_hex(json.dump());
  return json.dump() + "\n";
}

std::optional<Entry> decode(const std::string& text) {
  auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    if (const int format = json.at("format"); format > journal_format) {
      throw NewerFormat{"the journal", format, journal_format};
    }
    if (json.at("format") < 1) return std::nullopt;
    const std::string sum = json.at("sum");
    json.erase("sum");
    if (io::sha256_hex(json.dump()) != sum) return std::nullopt;
    Entry entry;
    entry.seq = json.at("seq");
    const auto at = parse_rfc3339(json.at("at").get<std::string>());
    if (!at) return std::nullopt;
    entry.at = *at;
    entry.event = json.at("event");
    entry.step = json.at("step");
    entry.text = json.at("text");
    entry.prev = json.value("prev", 0);
    if (json.contains("plan")) entry.plan = json.at("plan").dump();
    return entry;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

bool Record::ended() const {
  return std::any_of(entries.begin(), entries.end(), [](const Entry& entry) { return entry.event == "ended"; });
}

std::optional<Plan> Record::plan() const {
  for (const auto& entry : entries) {
    if (entry.event == "planned" && !entry.plan.empty()) return from_json(entry.plan);
  }
  return std::nullopt;
}

std::optional<std::size_t> Record::last_begun(const Plan& plan) const {
  std::optional<std::size_t> last;
  for (const auto& entry : entries) {
    if (entry.event != "doing") continue;
    for (std::size_t index = 0; index < plan.steps.size(); ++index) {
      if (plan.steps[index].name == entry.step && (!last || index > *last)) last = index;
    }
  }
  return last;
}

std::optional<std::size_t> Record::last_maybe_begun(const Plan& plan) const {
  auto last = last_begun(plan);
  int seq = 0;
  for (const auto& entry : entries) {
    if (entry.event == "doing") seq = std::max(seq, entry.seq);
  }
  for (const auto& path : damaged) {
    if (const int found = seq_in(path); (found != 0 && found <= seq) || failed_to_write(path)) continue;
    auto index = last ? *last + 1 : 0;
    while (index < plan.steps.size() && !plan.steps[index].mutates) ++index;
    if (index < plan.steps.size()) last = index;
  }
  return last;
}

bool Record::failed_to_write(const std::string& path) const {
  const int seq = seq_in(path);
  return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.prev > 0 && entry.prev < seq && seq < entry.seq; });
}

bool Record::doubtful() const {
  return std::any_of(damaged.begin(), damaged.end(), [&](const std::string& path) { return !failed_to_write(path); });
}

std::string Record::open_hooks() const {
  std::string open;
  for (const auto& entry : entries) {
    if (entry.step != post_deploy && entry.step != on_failure) continue;
    if (entry.event == "doing") open = entry.step;
    if (entry.event == "done" && entry.step == open) open.clear();
  }
  return open;
}

bool Record::was_undone(const std::string& step) const {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const Entry& entry) { return entry.event == "undone" && entry.step == step; });
}

std::vector<Record> records_of(const std::vector<target::StateStore::File>& files) {
  std::map<std::string, Record> records;
  for (const auto& file : files) {
    std::string_view path{file.path};
    if (!path.starts_with(journal_folder)) continue;
    path.remove_prefix(journal_folder.size());
    const std::string run{path.substr(0, path.find('/'))};
    auto& record = records[run];
    record.run = run;
    if (auto entry = decode(file.content)) record.entries.push_back(std::move(*entry));
    else record.damaged.push_back(file.path);
  }
  std::vector<Record> sorted;
  for (auto& [run, record] : records) {
    std::sort(record.entries.begin(), record.entries.end(), [](const Entry& a, const Entry& b) { return a.seq < b.seq; });
    add_missing(record);
    sorted.push_back(std::move(record));
  }
  return sorted;
}

Journal::Journal(Write write, std::string run, std::function<WallTime()> now, int next_seq, int last_written)
    : write_{std::move(write)}, run_{std::move(run)}, now_{std::move(now)}, next_seq_{next_seq}, last_written_{last_written} {}

target::StateStore::File Journal::entry_file(std::string event, std::string step, std::string text, std::string plan) {
  const Entry entry{next_seq_++, now_(), std::move(event), std::move(step), std::move(text), std::move(plan), last_written_};
  last_written_ = entry.seq;
  return {path_of(run_, entry.seq), encode(entry)};
}

void Journal::write(std::string event, std::string step, std::string text, const Limits& limits, std::string plan) {
  const int before = last_written_;
  try {
    write_({entry_file(std::move(event), std::move(step), std::move(text), std::move(plan))}, limits);
  } catch (...) {
    last_written_ = before;  // it may have been written all the same: its number is not used again
    throw;
  }
}

}  // namespace codops::plan
