#include "lib/migrate/ledger.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace codops::migrate {

namespace {

// The rows that speak for one key.
struct Rows {
  const Entry* applied{};
  const Entry* failed{};
  const Entry* rolled_back{};
};

std::map<std::string, Rows> rows_of(Layout layout, const std::vector<Entry>& entries) {
  std::map<std::string, Rows> all;
  for (const auto& entry : entries) {
    auto& rows = all[matching_key(layout, entry.key)];
    if (entry.rolled_back) rows.rolled_back = &entry;
    else if (entry.finished) rows.applied = &entry;
    else rows.failed = &entry;
  }
  return all;
}

// golang-migrate records only the newest version, a Flyway baseline stands for all up to its own.
const Entry* covering(const Source& source, const std::vector<Entry>& entries, const Migration& migration) {
  for (const auto& entry : entries) {
    const bool covers = source.layout == Layout::golang_migrate || (source.layout == Layout::flyway && entry.logs == "baseline");
    if (!covers || migration.repeatable || entry.key.starts_with("R__")) continue;
    const int order = version_compare(migration.key, entry.key);
    if (order < 0 || (order == 0 && entry.finished)) return &entry;
  }
  return nullptr;
}

bool changed(const Source& source, const Migration& migration, const Entry& entry) {
  return matching_key(source.layout, entry.key) == matching_key(source.layout, migration.key) && entry.logs != "baseline" && !entry.checksum.empty() &&
         !checksum_matches(source.layout, migration, entry.checksum);
}

}  // namespace

std::string_view name_of(State state) {
  switch (state) {
    case State::applied: return "applied";
    case State::pending: return "pending";
    case State::unfinished: return "unfinished";
    case State::failed: return "failed";
    case State::edited: return "edited";
    case State::missing: return "missing";
  }
  return "";
}

std::size_t Ledger::count(State state) const {
  return static_cast<std::size_t>(std::count_if(items.begin(), items.end(), [&](const Item& item) { return item.state == state; }));
}

bool Ledger::any_out_of_order() const {
  return std::any_of(items.begin(), items.end(), [](const Item& item) { return item.out_of_order; });
}

Exit Ledger::exit() const {
  if (count(State::failed) + count(State::unfinished) > 0) return Exit::failed;
  if (count(State::edited) + count(State::missing) > 0) return Exit::data;
  if (count(State::pending) > 0 || any_out_of_order()) return Exit::unhealthy;
  return Exit::ok;
}

Ledger evaluate(const Source& source, const std::vector<Entry>& entries, const History* history, bool check_files) {
  Ledger ledger;
  ledger.layout = source.layout;
  ledger.has_history = history != nullptr;
  const auto all_rows = rows_of(source.layout, entries);
  std::set<std::string> known;
  for (std::size_t i = 0; i < source.migrations.size(); ++i) {
    const auto& migration = source.migrations[i];
    auto key = matching_key(source.layout, migration.key);
    const auto found = all_rows.find(key);
    known.insert(std::move(key));
    const auto rows = found == all_rows.end() ? Rows{} : found->second;
    Item item;
    item.key = migration.key;
    item.name = migration.name;
    item.index = i;
    if (rows.failed != nullptr) {
      item.entry = *rows.failed;
      const auto progress = history != nullptr ? history->progress_of(*rows.failed) : std::nullopt;
      item.state = progress ? State::unfinished : State::failed;
      item.taking_back = progress && progress->taking_back;
    } else if (const auto* entry = rows.applied != nullptr ? rows.applied : covering(source, entries, migration); entry != nullptr) {
      item.entry = *entry;
      item.state = State::applied;
      if (migration.repeatable) {
        if (changed(source, migration, *entry)) item.state = State::pending;
      } else if (check_files && migration.script_missing) {
        item.state = State::missing;
      } else if (check_files && changed(source, migration, *entry)) {
        item.state = State::edited;
      }
    } else {
      item.rolled_back = rows.rolled_back != nullptr;
      if (item.rolled_back) item.entry = *rows.rolled_back;
    }
    ledger.items.push_back(std::move(item));
  }
  bool later_applied = false;
  for (auto item = ledger.items.rbegin(); item != ledger.items.rend(); ++item) {
    const bool versioned = !source.migrations[item->index].repeatable;
    if (item->state == State::pending) item->out_of_order = versioned && later_applied;
    else if (versioned && item->state != State::failed && item->state != State::unfinished) later_applied = true;
  }
  for (const auto& entry : entries) {
    if (entry.rolled_back || entry.logs == "baseline" || !known.insert(matching_key(source.layout, entry.key)).second) continue;
    Item item;
    item.state = entry.finished ? State::missing : State::failed;
    item.key = entry.key;
    item.name = entry.name;
    item.index = source.migrations.size();
    item.entry = entry;
    ledger.items.push_back(std::move(item));
  }
  return ledger;
}

}  // namespace codops::migrate
