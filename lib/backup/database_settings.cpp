#include "lib/backup/database_settings.hpp"

#include <algorithm>

#include "lib/backup/swap.hpp"
#include "lib/io/postgres.hpp"
#include "lib/text/printable.hpp"
#include "lib/text/sql_lexer.hpp"

namespace codops::backup {
namespace sql = text::sql;
namespace {

bool is_word(const sql::Token& token, std::string_view text, std::string_view word) {
  return token.kind == sql::Token::Kind::word && sql::lower_case(token.of(text)) == word;
}

// `text` has one statement or several; in each the name behind ALTER DATABASE, IN DATABASE or ON DATABASE becomes `name`.
void split_renamed(std::string_view text, const std::string& name, std::vector<std::string>& into) {
  sql::Lexer lexer{text};
  std::string statement, before;
  bool keyword = false, renamed = false;
  while (const auto token = lexer.next()) {
    if (token->kind == sql::Token::Kind::semicolon) {
      if (renamed) into.push_back(statement);
      statement.clear();
      keyword = renamed = false;
      continue;
    }
    if (statement.empty() && token->trivia()) continue;
    if (keyword && !renamed && !token->trivia()) {
      statement += name;
      renamed = true;
      continue;
    }
    statement += token->of(text);
    if (token->trivia()) continue;
    keyword = keyword || (is_word(*token, text, "database") && (before == "alter" || before == "in" || before == "on"));
    before = sql::lower_case(token->of(text));
  }
}

// ALTER DATABASE … SET default_transaction_read_only …; that a role in it may only read is nothing of ours.
bool refuses_writes(std::string_view statement) {
  sql::Lexer lexer{statement};
  bool set = false;
  while (const auto token = lexer.next()) {
    if (token->trivia()) continue;
    if (is_word(*token, statement, "role")) return false;
    if (set) return is_word(*token, statement, read_only_setting) || token->of(statement) == io::postgres::quote_identifier(std::string{read_only_setting});
    set = is_word(*token, statement, "set");
  }
  return false;
}

}  // namespace

bool about_database(std::string_view description, std::string_view tag) {
  return description == "DATABASE PROPERTIES" || (description == "ACL" && tag.starts_with("DATABASE "));
}

std::vector<std::string> statements_about_database(const ArchiveHead& head, std::string_view name, bool no_privileges) {
  std::vector<std::string> statements;
  const auto quoted = io::postgres::quote_identifier(std::string{name});
  for (const auto& entry : head.entries) {
    if (!about_database(entry.description, entry.tag) || (no_privileges && entry.description == "ACL")) continue;
    split_renamed(entry.definition, quoted, statements);
  }
  std::erase_if(statements, refuses_writes);
  return statements;
}

std::string statement_kind(std::string_view statement) {
  constexpr std::size_t most = 120;
  sql::Lexer lexer{statement};
  std::size_t end = 0;
  while (const auto token = lexer.next()) {
    using Kind = sql::Token::Kind;
    if (token->kind == Kind::string || token->kind == Kind::dollar_string || token->kind == Kind::number || is_word(*token, statement, "to")) break;
    if (!token->trivia()) end = token->end;
  }
  return text::printable(statement.substr(0, end), most);
}

}  // namespace codops::backup
