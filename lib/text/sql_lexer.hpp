#pragma once
// PostgreSQL's lexical rules (documentation, 4.1, and the server's scan.l) with standard_conforming_strings on:
// any text in, tokens that cover every byte out.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace codops::text::sql {

struct Token {
  enum class Kind : std::uint8_t {
    space,
    line_comment,   // without its newline
    block_comment,  // nested ones included
    word,           // unquoted identifier or key word
    quoted_name,    // "…", U&"…"
    string,         // '…', E'…', U&'…', B'…', X'…', N'…'
    dollar_string,  // $tag$…$tag$
    number,
    parameter,  // $1
    semicolon,
    open,   // ( [
    close,  // ) ]
    comma,
    backslash,  // never SQL outside of quotes: a psql command
    other,      // one byte of an operator or anything else
  };
  Kind kind{Kind::other};
  std::size_t begin{}, end{};
  bool complete{true};  // false: the text ended inside a quote or comment

  std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
  bool trivia() const { return kind == Kind::space || kind == Kind::line_comment || kind == Kind::block_comment; }
};

class Lexer {
 public:
  // `escapes`: standard_conforming_strings is off, so a backslash escapes in plain strings too.
  explicit Lexer(std::string_view text, std::size_t at = 0, bool escapes = false) : text_{text}, at_{at}, escapes_{escapes} {}
  std::optional<Token> next();  // nullopt at the end
  std::size_t at() const { return at_; }
  void move_to(std::size_t at) { at_ = at; }

 private:
  bool starts_with(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool quoted(char quote, bool backslashes);
  bool continued_string();
  bool block_comment();
  std::size_t dollar_tag() const;

  std::string_view text_;
  std::size_t at_;
  bool escapes_;
};

bool equals_ignoring_case(std::string_view a, std::string_view b);  // ASCII
std::string lower_case(std::string_view text);                      // ASCII

}  // namespace codops::text::sql
