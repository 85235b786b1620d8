#include "lib/migrate/splitter.hpp"

#include <algorithm>
#include <array>

namespace codops::migrate {

namespace {

// What the words seen so far say about the statement: is it a routine whose body may be BEGIN ATOMIC … END, a COPY that is
// followed by its data?
class Context {
 public:
  void word(std::string_view word, int depth) {
    if (count_ < words_.size()) words_[count_] = lower_case(word);
    ++count_;
    if (depth == 0 && is("copy") && from_ && equals_ignoring_case(word, "stdin")) reads_stdin_ = true;
    from_ = depth == 0 && equals_ignoring_case(word, "from");
    if (!defines_routine() || depth > 0) return;
    if (body_ == 0) {
      if (begin_ && equals_ignoring_case(word, "atomic")) body_ = 1;
    } else if (equals_ignoring_case(word, "case")) {
      ++body_;
    } else if (equals_ignoring_case(word, "end")) {
      --body_;
    }
    begin_ = equals_ignoring_case(word, "begin");
  }
  void something_else() { from_ = begin_ = false; }
  bool in_body() const { return body_ > 0; }
  bool reads_stdin() const { return reads_stdin_; }

 private:
  bool is(std::string_view first) const { return count_ > 0 && words_[0] == first; }
  bool defines_routine() const {
    if (!is("create") || count_ < 2) return false;
    const std::size_t at = words_[1] == "or" && words_[2] == "replace" ? 3 : 1;
    return words_[at] == "function" || words_[at] == "procedure";
  }

  std::array<std::string, 4> words_{};
  std::size_t count_{};
  int body_{};
  bool from_{}, begin_{}, reads_stdin_{};
};

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
  Context context;
  int depth = 0;
  bool started = false;
  while (const auto token = lexer.next()) {
    if (!token->complete) statement.complete = false;
    if (token->trivia()) continue;
    if (token->kind == Token::Kind::semicolon && depth <= 0 && !context.in_body()) {
      if (!started) statement.start = statement.stop = token->begin;
      statement.end = token->end;
      if (context.reads_stdin()) take_data(text, statement);
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
    if (token->kind == Token::Kind::open) ++depth;
    if (token->kind == Token::Kind::close) --depth;
    if (token->kind == Token::Kind::word) {
      context.word(token->of(text), depth);
    } else {
      context.something_else();
    }
  }
  statement.end = text.size();
  if (!started) statement.start = statement.stop = statement.end;
  if (depth > 0 || context.in_body()) statement.complete = false;
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
