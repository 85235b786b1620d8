#include "lib/backup/sql_words.hpp"

#include <algorithm>

#include "lib/backup/table_key.hpp"
#include "lib/text/printable.hpp"
#include "lib/text/sql_lexer.hpp"

namespace codops::backup {
namespace sql = text::sql;

std::vector<std::string> first_words(std::string_view sql) {
  constexpr std::size_t enough = 12, most_tokens = 60;
  std::vector<std::string> words;
  sql::Lexer lexer{sql};
  for (std::size_t i = 0; i < most_tokens && words.size() < enough; ++i) {
    const auto token = lexer.next();
    if (!token) break;
    if (token->kind == sql::Token::Kind::word) words.push_back(sql::lower_case(token->of(sql)));
    if (token->kind == sql::Token::Kind::quoted_name || token->kind == sql::Token::Kind::string) words.emplace_back(token->of(sql));
  }
  words.resize(std::max<std::size_t>(words.size(), 3));
  return words;
}

bool one_of(const std::string& word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string statement_name(std::string_view statement) {
  using Kind = sql::Token::Kind;
  sql::Lexer lexer{statement};
  std::size_t end = 0;
  while (end <= words_shown) {
    auto token = lexer.next();
    if (!token) return text::printable(statement, words_shown);
    if (token->trivia()) continue;
    if (token->kind == Kind::open && (token = lexer.next())) {
      if (token->kind != Kind::close) break;
    } else if (token->kind != Kind::word && token->kind != Kind::quoted_name && token->of(statement) != "." && token->of(statement) != "=") {
      break;
    }
    end = token->end;
  }
  const auto front = text::printable(statement.substr(0, end), words_shown);
  return front + (front.ends_with("…") ? "" : "…");
}

std::string name_of(std::string_view token) {
  if (!token.starts_with('"')) return sql::lower_case(token);
  std::string name;
  for (std::size_t i = 1; i + 1 < token.size(); ++i) {
    name += token[i];
    if (token[i] == '"') ++i;
  }
  return name;
}

std::string_view column_list(std::string_view copy) {
  using Kind = sql::Token::Kind;
  sql::Lexer lexer{copy};
  std::size_t from = std::string_view::npos;
  while (const auto token = lexer.next()) {
    if (token->kind == Kind::open && from == std::string_view::npos) from = token->begin;
    if (token->kind == Kind::close && from != std::string_view::npos) return copy.substr(from, token->end - from);
  }
  return {};
}

namespace {

std::vector<std::string_view> leading_tokens(std::string_view text, std::size_t most) {
  std::vector<std::string_view> words;
  sql::Lexer lexer{text};
  while (words.size() < most) {
    const auto token = lexer.next();
    if (!token) break;
    if (!token->trivia()) words.push_back(token->of(text));
  }
  return words;
}

}  // namespace

std::string copied_table(std::string_view copy) {
  const auto words = leading_tokens(copy, 4);
  const bool whole = words.size() == 4 && sql::equals_ignoring_case(words[0], "copy") && words[2] == ".";
  return whole ? table_key(name_of(words[1]), name_of(words[3])) : std::string{};
}

std::string named_table(std::string_view name) {
  const auto words = leading_tokens(name, 4);
  return words.size() == 3 && words[1] == "." ? table_key(name_of(words[0]), name_of(words[2])) : std::string{};
}

}  // namespace codops::backup
