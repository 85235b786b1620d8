#include "lib/text/sql_lexer.hpp"

#include <algorithm>

namespace codops::text::sql {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool continues_word(char c) { return starts_word(c) || is_digit(c) || c == '$'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string lower_case(std::string_view text) {
  std::string result{text};
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

std::optional<Token> Lexer::next() {
  if (at_ >= text_.size()) return std::nullopt;
  using Kind = Token::Kind;
  Token token{Kind::other, at_, at_, true};
  const char c = peek();
  const char after = peek(1);
  if (is_space(c)) {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    token.kind = Kind::space;
  } else if (c == '-' && after == '-') {
    // A carriage return ends a comment as a newline does (scan.l: [^\n\r]).
    while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
    token.kind = Kind::line_comment;
  } else if (c == '/' && after == '*') {
    token.kind = Kind::block_comment;
    token.complete = block_comment();
  } else if (c == '\'') {
    token.kind = Kind::string;
    token.complete = quoted('\'', escapes_);
    while (token.complete && continued_string()) token.complete = quoted('\'', escapes_);
  } else if (c == '"') {
    token.kind = Kind::quoted_name;
    token.complete = quoted('"', false);
  } else if ((lower(c) == 'e' || lower(c) == 'b' || lower(c) == 'x' || lower(c) == 'n') && after == '\'') {
    ++at_;
    const bool backslashes = lower(c) == 'e' || (lower(c) == 'n' && escapes_);
    token.kind = Kind::string;
    token.complete = quoted('\'', backslashes);
    while (token.complete && continued_string()) token.complete = quoted('\'', backslashes);
  } else if (lower(c) == 'u' && after == '&' && (peek(2) == '\'' || peek(2) == '"')) {
    at_ += 2;
    const char quote = peek();
    token.kind = quote == '"' ? Kind::quoted_name : Kind::string;
    token.complete = quoted(quote, false);
    while (token.complete && quote == '\'' && continued_string()) token.complete = quoted('\'', false);
  } else if (starts_word(c)) {
    while (at_ < text_.size() && continues_word(text_[at_])) ++at_;
    token.kind = Kind::word;
  } else if (is_digit(c) || (c == '.' && is_digit(after))) {
    while (is_digit(peek()) || (peek() == '.' && peek(1) != '.')) ++at_;
    token.kind = Kind::number;
  } else if (c == '$' && is_digit(after)) {
    ++at_;
    while (is_digit(peek())) ++at_;
    token.kind = Kind::parameter;
  } else if (const auto tag = dollar_tag(); tag > 0) {
    const auto close = text_.find(text_.substr(at_, tag), at_ + tag);
    token.kind = Kind::dollar_string;
    token.complete = close != std::string_view::npos;
    at_ = token.complete ? close + tag : text_.size();
  } else {
    ++at_;
    switch (c) {
      case ';': token.kind = Kind::semicolon; break;
      case '(': case '[': token.kind = Kind::open; break;
      case ')': case ']': token.kind = Kind::close; break;
      case ',': token.kind = Kind::comma; break;
      case '\\': token.kind = Kind::backslash; break;
      default: break;
    }
  }
  token.end = at_;
  return token;
}

// From the opening quote to behind the closing one.
bool Lexer::quoted(char quote, bool backslashes) {
  ++at_;
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (backslashes && c == '\\') {
      if (at_ < text_.size()) ++at_;
    } else if (c == quote) {
      if (peek() != quote) return true;
      ++at_;
    }
  }
  return false;
}

// 'a' <newline> 'b' is one string, and keeps the first part's rule about backslashes (scan.l: quotecontinue). Moves to the
// next opening quote.
bool Lexer::continued_string() {
  auto at = at_;
  bool newline = false;
  while (at < text_.size()) {
    if (is_space(text_[at])) {
      newline = newline || text_[at] == '\n' || text_[at] == '\r';
      ++at;
    } else if (text_.substr(at).starts_with("--")) {
      at = std::min(text_.find_first_of("\n\r", at), text_.size());
    } else {
      break;
    }
  }
  if (!newline || at >= text_.size() || text_[at] != '\'') return false;
  at_ = at;
  return true;
}

bool Lexer::block_comment() {
  at_ += 2;
  for (int depth = 1; at_ < text_.size();) {
    if (starts_with("/*")) {
      ++depth;
      at_ += 2;
    } else if (starts_with("*/")) {
      at_ += 2;
      if (--depth == 0) return true;
    } else {
      ++at_;
    }
  }
  return false;
}

// The length of "$tag$" here, 0 when there is none.
std::size_t Lexer::dollar_tag() const {
  if (peek() != '$') return 0;
  std::size_t length = 1;
  if (starts_word(peek(length))) {
    while (starts_word(peek(length)) || is_digit(peek(length))) ++length;
  }
  return peek(length) == '$' ? length + 1 : 0;
}

}  // namespace codops::text::sql
