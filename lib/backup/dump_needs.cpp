#include "lib/backup/dump_needs.hpp"

#include <charconv>

#include "lib/backup/sql_words.hpp"
#include "lib/text/sql_lexer.hpp"

namespace codops::backup {
namespace sql = text::sql;
namespace {

constexpr std::size_t longest = 64U << 10U;  // of a statement that names roles

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  sql::Lexer lexer{text};
  while (const auto token = lexer.next()) {
    if (!token->trivia()) words.push_back(token->of(text));
  }
  return words;
}

bool is(std::string_view word, std::string_view wanted) { return sql::equals_ignoring_case(word, wanted); }

}  // namespace

void DumpNeeds::begins(std::string_view text) {
  constexpr std::string_view says = "\n-- Dumped from database version ";
  const auto at = text.find(says);
  if (at != std::string_view::npos) std::from_chars(text.data() + at + says.size(), text.data() + text.size(), major_);
}

void DumpNeeds::statement(std::string_view text) {
  if (text.size() > longest) return;
  sql::Lexer lexer{text};
  const auto first = lexer.next();
  if (!first) return;
  const auto verb = first->of(text);
  const bool alters = is(verb, "alter"), grants = is(verb, "grant"), revokes = is(verb, "revoke"), creates = is(verb, "create"), sets = is(verb, "set");
  if (!alters && !grants && !revokes && !creates && !sets) return;
  const auto words = words_of(text);
  const auto count = words.size();
  if (sets) {
    // SET default_tablespace = fast; and to go back: = ''
    if (count >= 4 && is(words[1], "default_tablespace") && !words[3].starts_with('\'')) tablespaces_.insert(name_of(words[3]));
    return;
  }
  if (creates) {
    // CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public
    makes_public_ = makes_public_ || (count == 3 && is(words[1], "schema") && name_of(words[2]) == "public");
    if (count < 3 || !is(words[1], "extension")) return;
    const std::size_t at = is(words[2], "if") ? 5 : 2;
    if (at < count) extensions_.insert(name_of(words[at]));
    return;
  }
  if (alters) {
    if (count >= 4 && is(words[count - 3], "owner") && is(words[count - 2], "to")) owners_.insert(name_of(words[count - 1]));
    return;
  }
  // The last TO or FROM: before it are columns and arguments, which may be called so.
  for (std::size_t i = count - 1; i > 0; --i) {
    if (!is(words[i], grants ? "to" : "from") || i + 1 >= count) continue;
    if (!is(words[i + 1], "public")) granted_.insert(name_of(words[i + 1]));
    return;
  }
}

DatabaseIdentity DumpNeeds::identity(bool no_owner, bool no_tablespaces) const {
  DatabaseIdentity identity;
  identity.server_number = major_ * 10000;
  for (const auto& extension : extensions_) identity.extensions.push_back(extension + " -");  // "name version"
  if (!no_tablespaces) identity.tablespaces.assign(tablespaces_.begin(), tablespaces_.end());
  auto roles = granted_;
  if (!no_owner) roles.insert(owners_.begin(), owners_.end());
  identity.roles.assign(roles.begin(), roles.end());
  return identity;
}

}  // namespace codops::backup
