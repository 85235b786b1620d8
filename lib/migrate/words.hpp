#pragma once
// A statement's tokens without space and comments, read from left to right.
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "lib/migrate/lexer.hpp"
#include "lib/migrate/statement.hpp"

namespace codops::migrate {

class Words {
 public:
  explicit Words(std::string_view sql);

  bool done() const { return at_ >= tokens_.size(); }
  std::size_t at() const { return at_; }
  void move_to(std::size_t at) { at_ = at; }
  void skip() { ++at_; }
  bool is(std::string_view word, std::size_t ahead = 0) const;  // an unquoted word, in any case
  bool is_kind(Token::Kind kind, std::size_t ahead = 0) const;
  bool is_text(std::string_view text, std::size_t ahead = 0) const;
  bool accept(std::string_view word);
  bool accept(std::initializer_list<std::string_view> words);  // all of them or none
  // Moves to behind `word` outside of parentheses; false (and the end) when there is none.
  bool skip_to(std::string_view word);
  bool contains(std::string_view word, std::size_t from = 0) const;  // at any depth
  bool contains_semicolon() const;
  void skip_parentheses();                                          // a whole (…), when one begins here
  // To the next comma outside of parentheses, or the end; true at a comma, which is skipped.
  bool skip_item();
  bool at_name() const;
  Name name();             // a, a.b, "a"."b"
  std::string identifier();  // one part
  std::string type();      // up to the words that can follow a type
  std::string_view text() const { return done() ? std::string_view{} : tokens_[at_].of(sql_); }
  std::string string_value() const;  // of a plain string here, '' undone
  const std::vector<Token>& tokens() const { return tokens_; }
  std::string_view sql() const { return sql_; }

 private:
  std::string_view sql_;
  std::vector<Token> tokens_;
  std::size_t at_{};
};

}  // namespace codops::migrate
