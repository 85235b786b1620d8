#include "lib/migrate/splitter.hpp"

#include <algorithm>

namespace codops::migrate {

namespace {

std::size_t end_of_line(std::string_view text, std::size_t at) {
  const auto newline = text.find('\n', at);
  return newline == std::string_view::npos ? text.size() : newline + 1;
}

bool only_trivia(std::string_view text) {
  Lexer lexer{text};
  while (const auto token = lexer.next()) {
    if (!token->trivia()) return false;
  }
  return true;
}

// COPY's data begins on the line after the ';' and ends with the line "\." (or the file).
void take_data(std::string_view text, Statement& statement) {
  const auto line_end = end_of_line(text, statement.end);
  if (!only_trivia(text.substr(statement.end, line_end - statement.end))) return;
  statement.data_begin = line_end;
  for (auto at = line_end; at < text.size();) {
    const auto next = end_of_line(text, at);
    auto line = text.substr(at, next - at);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    if (line == "\\.") {
      statement.data_end = at;
      statement.end = next;
      return;
    }
    at = next;
  }
  statement.data_end = statement.end = text.size();
}

Statement next_statement(std::string_view text, std::size_t begin, bool escapes) {
  Statement statement;
  statement.begin = begin;
  Lexer lexer{text, begin, escapes};
  text::sql::Shape shape;
  bool started = false;
  while (const auto token = lexer.next()) {
    if (!token->complete) statement.complete = false;
    if (token->trivia()) continue;
    if (token->kind == Token::Kind::semicolon && shape.ends_here()) {
      if (!started) statement.start = statement.stop = token->begin;
      statement.end = token->end;
      if (shape.reads_stdin()) take_data(text, statement);
      return statement;
    }
    if (!started) statement.start = token->begin;
    if (token->kind == Token::Kind::backslash && statement.backslash == Statement::none) {
      statement.backslash = token->begin;
      if (!started) {
        // A psql command reaches to the end of its line; what follows is SQL again.
        statement.end = end_of_line(text, token->begin);
        statement.stop = statement.end;
        return statement;
      }
    }
    started = true;
    statement.stop = token->end;
    shape.see(*token, text);
  }
  statement.end = text.size();
  if (!started) statement.start = statement.stop = statement.end;
  if (!shape.complete()) statement.complete = false;
  return statement;
}

}  // namespace

std::vector<Statement> split(std::string_view text, bool escapes) {
  std::vector<Statement> statements;
  const bool initial = escapes;
  for (std::size_t at = 0; at < text.size();) {
    statements.push_back(next_statement(text, at, escapes));
    at = statements.back().end;
    escapes = sets_escapes(statements.back().sql(text), initial).value_or(escapes);
  }
  return statements;
}

std::optional<bool> sets_escapes(std::string_view sql, bool initial) {
  // Only a short statement can be one, and most are none.
  if (sql.size() < 9 || sql.size() > 400) return std::nullopt;
  const auto verb = lower_case(sql.substr(0, 3));
  if (verb != "set" && verb != "res") return std::nullopt;
  std::vector<std::string> words;
  Lexer lexer{sql};
  while (const auto token = lexer.next()) {
    if (!token->trivia()) words.push_back(lower_case(token->of(sql)));
  }
  const bool resets = words.front() == "reset";
  std::size_t at = words.size() > 1 && (words[1] == "session" || words[1] == "local") ? 2 : 1;
  constexpr std::string_view name = "standard_conforming_strings";
  if (at >= words.size() || (words[at] != name && !(resets && words[at] == "all"))) return std::nullopt;
  if (resets || words.back() == "default") return initial;
  auto value = words.back();
  std::erase(value, '\'');
  return value == "off" || value == "false" || value == "no" || value == "0";
}

Position position_of(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  Position position;
  for (std::size_t i = 0; i < offset; ++i) {
    if (text[i] == '\n') {
      ++position.line;
      position.column = 1;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++position.column;
    }
  }
  return position;
}

std::size_t offset_of_character(std::string_view text, std::size_t characters) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (++seen == characters) return i;
  }
  return text.size();
}

}  // namespace codops::migrate
