// What apply() would run: looked up, and shown.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/units.hpp"
#include "lib/migrate/analysis.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

std::string quoted(const Name& name) {
  return name.schema.empty() ? pg::quote_identifier(name.name) : pg::quote_identifier(name.schema) + "." + pg::quote_identifier(name.name);
}

TableFacts look_up(pg::Connection& connection, const Name& name, const Limits& limits) {
  TableFacts facts;
  const auto sizes = connection.query(
      "SELECT CASE WHEN reltuples = 0 AND relpages = 0 AND pg_relation_size(oid) > 0 THEN -1 ELSE reltuples END, pg_relation_size(oid), pg_total_relation_size(oid) FROM pg_class WHERE oid = to_regclass($1)", {quoted(name)}, limits);
  if (sizes.empty()) return facts;
  facts.exists = true;
  facts.rows = sizes.real(0, 0);
  facts.bytes = static_cast<std::uint64_t>(sizes.number(0, 1));
  facts.all_bytes = static_cast<std::uint64_t>(sizes.number(0, 2));
  const auto columns = connection.query(
      "SELECT a.attname, format_type(a.atttypid, a.atttypmod), EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND "
      "c.convalidated AND c.conkey = ARRAY[a.attnum] AND pg_get_constraintdef(c.oid) LIKE '%IS NOT NULL%') FROM pg_attribute a WHERE a.attrelid = "
      "to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
      {quoted(name)}, limits);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    facts.column_types[std::string{columns.text(i, 0)}] = columns.text(i, 1);
    if (columns.boolean(i, 2)) facts.checked_not_null.emplace_back(columns.text(i, 0));
  }
  return facts;
}

Name table_of_index(pg::Connection& connection, const Name& index, const Limits& limits) {
  const auto rows = connection.query(
      "SELECT n.nspname, c.relname, n.nspname = ANY (current_schemas(false)) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON "
      "n.oid = c.relnamespace WHERE i.indexrelid = to_regclass($1)",
      {quoted(index)}, limits);
  if (rows.empty()) return {};
  return {rows.boolean(0, 2) ? "" : std::string{rows.text(0, 0)}, std::string{rows.text(0, 1)}};
}

// The tables that go with a schema, or with what a role owns.
std::vector<Name> dropped_with(pg::Connection& connection, const Parsed& parsed, const Limits& limits) {
  std::vector<Name> names;
  for (const auto& object : parsed.objects) {
    const auto rows = connection.query(
        std::string{"SELECT n.nspname, c.relname, n.nspname = ANY (current_schemas(false)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN "
                    "('r', 'p', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND "} +
            (parsed.kind == Parsed::Kind::drop_schema ? "n.nspname" : "pg_get_userbyid(c.relowner)") + " = $1 ORDER BY 1, 2",
        {object.name}, limits);
    for (std::size_t i = 0; i < rows.size(); ++i) names.push_back({rows.boolean(i, 2) ? "" : std::string{rows.text(i, 0)}, std::string{rows.text(i, 1)}});
  }
  return names;
}

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

std::string describe(const PlannedEffect& planned) {
  const auto& effect = planned.effect;
  auto text = fmt::format("\"{}\"", effect.table.shown());
  if (planned.table.exists) text += fmt::format(" ({}, {})", count_of(planned.table.rows), format_bytes(planned.table.all_bytes));
  text += fmt::format(" {}: {}, {}", effect.what, name_of(effect.lock), name_of(effect.work));
  if (const auto blocked = blocked_by(effect.lock); !blocked.empty()) {
    text += fmt::format("; blocks {}{}", blocked, planned.held >= Milliseconds{100} ? " for about " + format_duration(planned.held) : " for an instant");
  }
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

PlannedMigration plan_one(const Migration& migration, pg::Connection& connection, bool allow_invalid_utf8, std::vector<Name>& created, Tables& tables,
                          const Limits& limits) {
  auto script = prepare(migration, allow_invalid_utf8, connection.parameter("standard_conforming_strings") == "off");
  PlannedMigration planned{migration.name, migration.path, script.transactional, script.reason, {}};
  const auto look = [&](const Name& name) {
    if (!name.empty() && !tables.contains(name.shown())) tables[name.shown()] = look_up(connection, name, limits);
  };
  for (std::size_t i = 0; i < script.statements.size(); ++i) {
    auto& parsed = script.parsed[i];
    if (parsed.kind == Parsed::Kind::drop_index && parsed.table.empty()) parsed.table = table_of_index(connection, parsed.object(), limits);
    if ((parsed.kind == Parsed::Kind::drop_schema && parsed.cascade) || parsed.kind == Parsed::Kind::drop_owned) {
      parsed.objects = dropped_with(connection, parsed, limits);
      parsed.kind = Parsed::Kind::drop_table;
    }
    for (const auto& part : parsed.parts) look(part.object());
    look(parsed.table);
    for (const auto& object : parsed.objects) look(object);
    for (const auto& action : parsed.actions) look(action.references);
    PlannedStatement statement;
    statement.line = script.where(script.statements[i].start).line;
    statement.excerpt = one_line(script.statements[i].sql(script.text));
    for (auto& effect : effects_of(parsed, created, tables)) {
      const auto facts = tables[effect.table.shown()];
      const auto takes = estimate(effect.work, facts);
      statement.takes = std::max(statement.takes, takes);
      statement.effects.push_back({std::move(effect), facts, takes});
    }
    if (parsed.kind == Parsed::Kind::create_table || parsed.kind == Parsed::Kind::create_matview) {
      if (!tables[parsed.object().shown()].exists) created.push_back(parsed.object());
    }
    planned.statements.push_back(std::move(statement));
  }
  if (!script.transactional) return planned;
  // Inside a transaction every lock is kept until the end.
  Milliseconds rest{};
  for (auto statement = planned.statements.rbegin(); statement != planned.statements.rend(); ++statement) {
    rest += statement->takes;
    for (auto& effect : statement->effects) effect.held = rest;
  }
  return planned;
}

}  // namespace

std::vector<PlannedMigration> plan(const std::vector<Migration>& pending, pg::Connection& connection, bool allow_invalid_utf8, const Limits& limits) {
  std::vector<PlannedMigration> result;
  std::vector<Name> created;
  Tables tables;
  for (const auto& migration : pending) result.push_back(plan_one(migration, connection, allow_invalid_utf8, created, tables, limits));
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
        const bool serious = effect.effect.lock >= Lock::share && effect.held >= Milliseconds{1000};
        text += wrapped(fmt::format("      {} {}", serious ? '!' : ' ', describe(effect)), 10) + "\n";
      }
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
                                {"bytes", planned.table.all_bytes}, {"held_seconds", static_cast<double>(planned.held.count()) / 1000}});
      }
      entry["statements"].push_back(std::move(row));
    }
    document["pending"].push_back(std::move(entry));
  }
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace codops::migrate
