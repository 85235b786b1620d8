#include "lib/migrate/script_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace codops::migrate {

namespace {

constexpr std::size_t widest = 96;

std::string_view line_around(std::string_view text, std::size_t offset, std::size_t& begin) {
  const auto before = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
  begin = before == std::string_view::npos ? 0 : before + 1;
  auto line = text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::size_t characters_in(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// A long line is shown around the fault.
std::vector<std::string> excerpt_of(std::string_view text, std::size_t offset, bool with_caret) {
  std::size_t begin = 0;
  auto line = line_around(text, std::min(offset, text.size()), begin);
  auto at = std::min(offset - begin, line.size());
  std::string shown{line};
  if (characters_in(line) > widest) {
    auto from = at > widest / 2 ? at - widest / 2 : 0;
    while (from > 0 && (static_cast<unsigned char>(line[from]) & 0xC0) == 0x80) --from;
    auto to = std::min(from + widest, line.size());
    while (to < line.size() && (static_cast<unsigned char>(line[to]) & 0xC0) == 0x80) ++to;
    shown = (from > 0 ? "…" : "") + std::string{line.substr(from, to - from)} + (to < line.size() ? "…" : "");
    line = line.substr(from);
    at = at - from;
    if (from > 0) return with_caret ? std::vector{shown, std::string(characters_in(line.substr(0, at)) + 1, ' ') + "^"} : std::vector{shown};
  }
  std::vector<std::string> lines{shown};
  if (with_caret) {
    std::string caret;
    for (const char c : line.substr(0, at)) {
      if (c == '\t') caret += '\t';
      else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) caret += ' ';
    }
    lines.push_back(caret + "^");
  }
  return lines;
}

std::string first_lines(std::string_view statement) {
  auto end = statement.size();
  std::size_t at = 0;
  for (int lines = 0; lines < 10; ++lines) {
    const auto newline = statement.find('\n', at);
    if (newline == std::string_view::npos) return std::string{statement.substr(0, std::min<std::size_t>(end, 2000))};
    end = newline;
    at = newline + 1;
  }
  return std::string{statement.substr(0, std::min<std::size_t>(end, 2000))} + "\n…";
}

}  // namespace

ScriptError locate(const Migration& migration, const Script& script, std::size_t statement, std::size_t base,
                   const io::postgres::Diagnostic& diagnostic) {
  ScriptError error;
  error.migration = migration.name;
  error.path = script.path;
  error.diagnostic = diagnostic;
  std::size_t offset = statement < script.statements.size() ? script.statements[statement].start : 0;
  if (diagnostic.position > 0) {
    offset = base + offset_of_character(std::string_view{script.text}.substr(base), diagnostic.position);
    for (std::size_t i = 0; i < script.statements.size(); ++i) {
      if (script.statements[i].begin <= offset && offset < script.statements[i].end) statement = i;
    }
  }
  const auto position = script.where(offset);
  error.line = position.line;
  error.column = position.column;
  if (statement < script.statements.size()) error.statement = first_lines(script.statements[statement].sql(script.text));
  error.excerpt = excerpt_of(script.text, offset, diagnostic.position > 0);
  return error;
}

std::string to_text(const ScriptError& error) {
  auto text = fmt::format("migration \"{}\" failed: {}{}\n  {}:{}:{}", error.migration, error.diagnostic.message,
                          error.diagnostic.sqlstate.empty() ? "" : " (" + error.diagnostic.sqlstate + ")", error.path, error.line, error.column);
  for (const auto& line : error.excerpt) text += "\n  │ " + line;
  const auto add = [&](std::string_view label, const std::string& value) {
    if (!value.empty()) text += fmt::format("\n  {:<9} {}", label, value);
  };
  add("detail", error.diagnostic.detail);
  add("hint", error.diagnostic.hint);
  if (!error.diagnostic.context.empty()) add("context", error.diagnostic.context.substr(0, error.diagnostic.context.find('\n')));
  add("now", error.state);
  return text;
}

std::string to_log(const ScriptError& error) {
  auto text = to_text(error);
  for (const auto& [ours, plain] : {std::pair{"│", "|"}, std::pair{"…", "..."}}) {
    for (auto at = text.find(ours); at != std::string::npos; at = text.find(ours, at)) text.replace(at, 3, plain);
  }
  return text;
}

std::string to_json(const ScriptError& error) {
  const auto& said = error.diagnostic;
  return nlohmann::json{{"migration", error.migration}, {"file", error.path},           {"line", error.line},
                        {"column", error.column},       {"statement", error.statement}, {"sqlstate", said.sqlstate},
                        {"message", said.message},      {"detail", said.detail},        {"hint", said.hint},
                        {"context", said.context},      {"schema", said.schema},        {"table", said.table},
                        {"constraint", said.constraint}, {"state", error.state}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) result += fmt::format("\\x{:02x}", byte);
    else result += c;
  }
  return result;
}

std::string shell_word(std::string_view name) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,:/@%+=";
  if (!name.empty() && name.find_first_not_of(plain) == std::string_view::npos) return std::string{name};
  std::string word = "'";
  for (const char c : name) {
    if (c == '\'') word += "'\\''";
    else word += c;
  }
  return word + "'";
}

MigrationFailed::MigrationFailed(Exit code, ScriptError error, std::string hint)
    : Failure{code, to_text(error), std::move(hint)}, error_{std::move(error)} {}

}  // namespace codops::migrate
