#include "lib/plan/journal.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"

namespace codops::plan {
namespace {

using Json = nlohmann::json;

constexpr int journal_format = 1;

}  // namespace

std::string encode(const Entry& entry) {
  Json json{{"format", journal_format}, {"seq", entry.seq},   {"at", to_rfc3339(entry.at)},
            {"event", entry.event},     {"step", entry.step}, {"text", entry.text}};
  if (!entry.plan.empty()) json["plan"] = Json::parse(entry.plan);
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
    sorted.push_back(std::move(record));
  }
  return sorted;
}

Journal::Journal(Write write, std::string run, std::function<WallTime()> now, int next_seq)
    : write_{std::move(write)}, run_{std::move(run)}, now_{std::move(now)}, next_seq_{next_seq} {}

target::StateStore::File Journal::entry_file(std::string event, std::string step, std::string text, std::string plan) {
  const Entry entry{next_seq_++, now_(), std::move(event), std::move(step), std::move(text), std::move(plan)};
  return {fmt::format("{}{}/{:06}.json", journal_folder, run_, entry.seq), encode(entry)};
}

void Journal::write(std::string event, std::string step, std::string text, const Limits& limits, std::string plan) {
  write_({entry_file(std::move(event), std::move(step), std::move(text), std::move(plan))}, limits);
}

}  // namespace codops::plan
