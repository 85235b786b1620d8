#include "lib/backup/sql_words.hpp"

#include <algorithm>

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

}  // namespace codops::backup
