// What apply() would run: looked up, and shown.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/migrate/analysis.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

std::string one_line(std::string_view sql) {
  std::string line;
  bool space = false;
  for (const char c : sql) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
      space = !line.empty();
      continue;
    }
    if (space) line += ' ';
    space = false;
    line += c;
    if (line.size() > 78) return line + "…";
  }
  return line;
}

std::string count_of(double rows) {
  if (rows < 0) return "never analysed";
  if (rows >= 1e6) return fmt::format("{:.1f} M rows", rows / 1e6);
  if (rows >= 1e3) return fmt::format("{:.0f} k rows", rows / 1e3);
  return fmt::format("{:.0f} rows", rows);
}

std::string how_long(const PlannedEffect& planned) {
  if (planned.known == Known::at_least) return "for as long as the rows take, which can't be known";
  if (planned.held < Milliseconds{100}) return "for an instant";
  return (planned.known == Known::about ? "for about " : "for at most about ") + format_duration(planned.held);
}

std::string_view name_of(Known known) { return known == Known::about ? "about" : known == Known::at_most ? "at most" : "at least"; }

// The most that changing some of a table's rows can take; the rows that are added may be any number.
Known judge_rows(const Parsed& parsed, Milliseconds& takes, const TableFacts& facts) {
  using Kind = Parsed::Kind;
  if (parsed.from_query || parsed.kind == Kind::call) return Known::at_least;
  const bool some = !parsed.everything && (parsed.kind == Kind::update || parsed.kind == Kind::remove);
  if (!some && parsed.kind != Kind::merge) return Known::about;
  takes = std::max(takes, estimate(Work::rewrite, facts));
  return parsed.kind == Kind::merge ? Known::at_least : Known::at_most;
}

std::string describe(const PlannedEffect& planned) {
  const auto& effect = planned.effect;
  auto text = fmt::format("\"{}\"", effect.table.shown());
  if (planned.table.exists) {
    text += fmt::format(" ({}, {}{})", count_of(planned.table.rows), format_bytes(planned.table.all_bytes),
                        planned.table.tables_below == 0 ? "" : fmt::format(" in {} tables", planned.table.tables_below + (planned.table.partitioned ? 0 : 1)));
  }
  text += fmt::format(" {}: {}, {}", effect.what, name_of(effect.lock), name_of(effect.work));
  if (const auto blocked = blocked_by(effect.lock); !blocked.empty()) text += fmt::format("; blocks {} {}", blocked, how_long(planned));
  return text;
}

// Lines of at most 100 columns, broken at spaces; those after the first begin with `indent` spaces.
std::string wrapped(const std::string& line, std::size_t indent) {
  constexpr std::size_t columns = 100;
  std::string result;
  std::string_view rest = line;
  for (;;) {
    const std::size_t room = columns - (result.empty() ? 0 : indent);
    const auto end = offset_of_character(rest, room + 1);
    const auto space = end >= rest.size() ? std::string_view::npos : rest.rfind(' ', end);
    const bool breaks = space != std::string_view::npos && rest.find_first_not_of(' ') < space;
    if (!result.empty()) result += "\n" + std::string(indent, ' ');
    result += rest.substr(0, breaks ? space : rest.size());
    if (!breaks) return result;
    rest.remove_prefix(space + 1);
  }
}

PlannedStatement plan_statement(Parsed& parsed, CatalogReader& reader, const std::vector<Name>& created) {
  PlannedStatement statement;
  reader.look_for(parsed);
  auto effects = effects_of(parsed, created, reader.catalog());
  if (parsed.kind != Parsed::Kind::alter_domain) {
    for (const auto& name : reader.using_type_of(parsed)) effects.push_back({name, Lock::access_exclusive, Work::metadata, "loses its columns of that type"});
  }
  const auto facts_of = [&](const Name& name) {
    const auto found = reader.catalog().tables.find(name.shown());
    return found == reader.catalog().tables.end() ? TableFacts{} : found->second;
  };
  for (auto& effect : effects) {
    auto facts = effect.alone ? alone(facts_of(effect.table)) : facts_of(effect.table);
    const auto takes = estimate(effect.work, facts);
    // One after the other in a block, at once in a statement.
    statement.takes = parsed.parts.empty() ? std::max(statement.takes, takes) : statement.takes + takes;
    statement.effects.push_back({std::move(effect), std::move(facts), {}, {}});
  }
  const bool fresh = std::find(created.begin(), created.end(), parsed.object()) != created.end();
  if (!fresh || parsed.from_query) statement.known = judge_rows(parsed, statement.takes, facts_of(parsed.object()));
  for (const auto& part : parsed.parts) {
    Milliseconds takes{};
    statement.known = std::max(statement.known, judge_rows(part, takes, facts_of(part.object())));
    statement.takes += takes;
  }
  statement.unseen = unseen_in(parsed, reader.catalog());
  if (!statement.unseen.empty()) statement.known = Known::at_least;
  return statement;
}

// A lock is kept to the end of its transaction: the script's, one between BEGIN and COMMIT, or the statement's own.
void hold_locks(PlannedMigration& planned, const Script& script) {
  Milliseconds rest{};
  Known known{Known::about};
  bool inside = script.transactional;
  for (auto i = planned.statements.size(); i-- > 0;) {
    auto& statement = planned.statements[i];
    const auto kind = script.parsed[i].kind;
    if (kind == Parsed::Kind::commit || kind == Parsed::Kind::rollback || kind == Parsed::Kind::prepared_transaction) {
      inside = true;
      rest = {};
      known = Known::about;
    }
    rest = inside ? rest + statement.takes : statement.takes;
    known = inside ? std::max(known, statement.known) : statement.known;
    for (auto& effect : statement.effects) {
      effect.held = rest;
      effect.known = known;
    }
    if (kind == Parsed::Kind::begin) inside = false;
  }
}

PlannedMigration plan_one(const Migration& migration, pg::Connection& connection, bool allow_invalid_utf8, std::vector<Name>& created, CatalogReader& reader) {
  auto script = prepare(migration, allow_invalid_utf8, connection.parameter("standard_conforming_strings") == "off");
  PlannedMigration planned{migration.name, migration.path, script.transactional, script.reason, {}};
  for (std::size_t i = 0; i < script.statements.size(); ++i) {
    auto& parsed = script.parsed[i];
    if ((parsed.kind == Parsed::Kind::drop_schema && parsed.cascade) || parsed.kind == Parsed::Kind::drop_owned) {
      parsed.objects = reader.dropped_with(parsed);
      parsed.kind = Parsed::Kind::drop_table;
    }
    auto statement = plan_statement(parsed, reader, created);
    statement.line = script.where(script.statements[i].start).line;
    statement.excerpt = one_line(script.statements[i].sql(script.text));
    reader.remember(parsed, created);
    planned.statements.push_back(std::move(statement));
  }
  hold_locks(planned, script);
  return planned;
}

}  // namespace

std::vector<PlannedMigration> plan(const std::vector<Migration>& pending, pg::Connection& connection, bool allow_invalid_utf8, const Limits& limits) {
  std::vector<PlannedMigration> result;
  std::vector<Name> created;
  CatalogReader reader{connection, limits};
  for (const auto& migration : pending) result.push_back(plan_one(migration, connection, allow_invalid_utf8, created, reader));
  return result;
}

std::string to_text(const std::vector<PlannedMigration>& plan) {
  if (plan.empty()) return "nothing is pending\n";
  std::string text;
  for (const auto& migration : plan) {
    text += wrapped(fmt::format("{}   {}", migration.name, migration.transactional ? "in one transaction" : "statement by statement: " + migration.reason), 4) + "\n";
    for (const auto& statement : migration.statements) {
      text += fmt::format("  {:>4}  {}\n", statement.line, statement.excerpt);
      for (const auto& effect : statement.effects) {
        const bool serious = effect.effect.lock >= Lock::share && (effect.held >= Milliseconds{1000} || effect.known == Known::at_least);
        text += wrapped(fmt::format("      {} {}", serious ? '!' : ' ', describe(effect)), 10) + "\n";
      }
      if (!statement.unseen.empty()) text += wrapped(fmt::format("      ? {}: what that locks, and for how long, can't be seen from here", statement.unseen), 10) + "\n";
    }
  }
  return text;
}

std::string to_json(const std::vector<PlannedMigration>& plan) {
  auto document = nlohmann::ordered_json{{"pending", nlohmann::ordered_json::array()}};
  for (const auto& migration : plan) {
    nlohmann::ordered_json entry{{"name", migration.name}, {"file", migration.path}, {"transactional", migration.transactional}};
    if (!migration.reason.empty()) entry["reason"] = migration.reason;
    entry["statements"] = nlohmann::ordered_json::array();
    for (const auto& statement : migration.statements) {
      nlohmann::ordered_json row{{"line", statement.line}, {"statement", statement.excerpt}, {"locks", nlohmann::ordered_json::array()}};
      for (const auto& planned : statement.effects) {
        row["locks"].push_back({{"table", planned.effect.table.shown()}, {"lock", name_of(planned.effect.lock)}, {"blocks", blocked_by(planned.effect.lock)},
                                {"work", name_of(planned.effect.work)}, {"what", planned.effect.what}, {"rows", planned.table.rows < 0 ? nlohmann::ordered_json{} : nlohmann::ordered_json(planned.table.rows)},
                                {"bytes", planned.table.all_bytes}, {"held_seconds", static_cast<double>(planned.held.count()) / 1000}, {"held", name_of(planned.known)}});
      }
      if (!statement.unseen.empty()) row["unseen"] = statement.unseen;
      entry["statements"].push_back(std::move(row));
    }
    document["pending"].push_back(std::move(entry));
  }
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace codops::migrate
