#include "lib/migrate/session_memory.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/migrate/words.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

constexpr std::string_view function = "set_config";

// The first argument of every set_config(' that has a dot, wherever it stands: also in a DO block's body.
std::vector<std::string> custom_settings(std::string_view script) {
  std::vector<std::string> names;
  const auto text = lower_case(script);
  for (auto at = text.find(function); at != std::string::npos; at = text.find(function, at + 1)) {
    const auto open = text.find('\'', at);
    const auto close = open == std::string::npos ? open : text.find('\'', open + 1);
    if (close == std::string::npos || open - at > function.size() + 4) continue;
    auto name = std::string{script.substr(open + 1, close - open - 1)};
    if (name.find('.') == std::string::npos || name.find_first_of("\"\\{},") != std::string::npos) continue;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

std::string array_of(const std::vector<std::string>& names) {
  std::string text = "{";
  for (const auto& name : names) text += (text.size() > 1 ? ",\"" : "\"") + name + "\"";
  return text + "}";
}

}  // namespace

SessionMemory::SessionMemory(std::string_view script, std::string_view notes)
    : custom_{custom_settings(script)}, calls_set_config_{lower_case(script).find(function) != std::string::npos} {
  const auto known = nlohmann::json::parse(notes, nullptr, false);
  if (!known.is_object()) return;
  if (const auto found = known.find("settings"); found != known.end() && found->is_object()) {
    settings_ = found->dump();
    at_ = known.value("at", std::size_t{0});
  }
  if (const auto found = known.find("indexes"); found != known.end() && found->is_array()) {
    indexes_.emplace();
    for (const auto& name : *found) {
      if (name.is_string()) indexes_->push_back(name.get<std::string>());
    }
  }
}

bool SessionMemory::only_sets(const Parsed& parsed, std::string_view sql) {
  if (parsed.kind == Parsed::Kind::set || parsed.kind == Parsed::Kind::reset) return true;
  Words words{sql};
  if (!words.accept("select")) return false;
  for (;;) {
    if (words.accept("pg_catalog")) {
      if (!words.is_text(".")) return false;
      words.skip();
    }
    if (!words.accept(function) || !words.is_text("(")) return false;
    words.skip();
    for (const bool last : {false, true}) {
      if (!words.is_kind(Token::Kind::string) || !words.is_kind(Token::Kind::comma, 1)) return false;
      words.skip();
      words.skip();
      if (last && !words.accept("false")) return false;
    }
    if (!words.is_text(")")) return false;
    words.skip();
    if (words.done()) return true;
    if (!words.is_kind(Token::Kind::comma)) return false;
    words.skip();
  }
}

bool SessionMemory::may_change(const Parsed& parsed) const {
  using Kind = Parsed::Kind;
  switch (parsed.kind) {
    case Kind::select:
    case Kind::do_block:
    case Kind::call:
    case Kind::set:
    case Kind::reset:
    case Kind::discard:
    case Kind::other: return true;
    // By a trigger, or in an expression; not worth a question for each of many rows unless the script speaks of it.
    case Kind::insert:
    case Kind::update:
    case Kind::remove: return calls_set_config_;
    default: return false;
  }
}

std::string SessionMemory::looking() const {
  return "SELECT pg_catalog.json_object_agg(name, setting ORDER BY name) FROM (SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session' AND name NOT IN "
         "('lock_timeout', 'statement_timeout', 'client_connection_check_interval', 'transaction_isolation', 'transaction_read_only', 'transaction_deferrable') "
         "UNION ALL SELECT 'role', pg_catalog.current_setting('role') UNION ALL SELECT n, pg_catalog.current_setting(n, true) FROM pg_catalog.unnest(" +
         pg::quote_literal(array_of(custom_)) + "::text[]) n WHERE pg_catalog.current_setting(n, true) IS NOT NULL) s";
}

bool SessionMemory::saw(const pg::Rows& rows, std::size_t done) {
  at_ = done;
  return std::exchange(settings_, std::string{rows.text(0, 0)}) != rows.text(0, 0);
}

void SessionMemory::restore(pg::Connection& connection, const Limits& limits) const {
  if (settings_.empty()) return;
  // The role last: it may not be allowed what the one before was.
  connection.query("SELECT pg_catalog.set_config(key, value, false) FROM pg_catalog.json_each_text($1::json) WHERE key <> 'role'", {settings_}, limits);
  connection.query("SELECT pg_catalog.set_config('role', $1::json ->> 'role', false)", {settings_}, limits);
}

std::string SessionMemory::notes() const {
  nlohmann::ordered_json notes = nlohmann::ordered_json::object();
  if (!settings_.empty()) {
    notes["at"] = at_;
    notes["settings"] = nlohmann::ordered_json::parse(settings_, nullptr, false);
  }
  if (indexes_) notes["indexes"] = *indexes_;
  return notes.empty() ? std::string{} : notes.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace codops::migrate
