#include "lib/migrate/words.hpp"

#include <algorithm>
#include <array>

namespace codops::migrate {

namespace {

std::string folded(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return lower_case(text);
  std::string result;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    result += text[i];
    if (text[i] == '"') ++i;
  }
  return result;
}

constexpr std::array<std::string_view, 17> after_type{"not",     "null",       "default", "constraint", "primary", "unique",
                                                      "check",   "references", "collate", "generated",  "using",   "storage",
                                                      "compression", "deferrable", "initially", "cascade", "restrict"};

}  // namespace

Words::Words(std::string_view sql) : sql_{sql} {
  Lexer lexer{sql};
  while (const auto token = lexer.next()) {
    if (!token->trivia()) tokens_.push_back(*token);
  }
}

bool Words::is(std::string_view word, std::size_t ahead) const {
  return at_ + ahead < tokens_.size() && tokens_[at_ + ahead].kind == Token::Kind::word &&
         equals_ignoring_case(tokens_[at_ + ahead].of(sql_), word);
}

bool Words::is_kind(Token::Kind kind, std::size_t ahead) const { return at_ + ahead < tokens_.size() && tokens_[at_ + ahead].kind == kind; }

bool Words::is_text(std::string_view text, std::size_t ahead) const {
  return at_ + ahead < tokens_.size() && tokens_[at_ + ahead].of(sql_) == text;
}

bool Words::accept(std::string_view word) {
  if (!is(word)) return false;
  ++at_;
  return true;
}

bool Words::accept(std::initializer_list<std::string_view> words) {
  std::size_t ahead = 0;
  for (const auto word : words) {
    if (!is(word, ahead++)) return false;
  }
  at_ += words.size();
  return true;
}

bool Words::skip_to(std::string_view word) {
  while (!done()) {
    if (accept(word)) return true;
    if (is_kind(Token::Kind::open)) {
      skip_parentheses();
    } else {
      skip();
    }
  }
  return false;
}

bool Words::contains(std::string_view word, std::size_t from) const {
  return std::any_of(tokens_.begin() + static_cast<std::ptrdiff_t>(std::min(from, tokens_.size())), tokens_.end(), [&](const Token& token) {
    return token.kind == Token::Kind::word && equals_ignoring_case(token.of(sql_), word);
  });
}

bool Words::contains_semicolon() const {
  return std::any_of(tokens_.begin(), tokens_.end(), [](const Token& token) { return token.kind == Token::Kind::semicolon; });
}

void Words::skip_parentheses() {
  if (!is_kind(Token::Kind::open)) return;
  for (int depth = 0; !done(); skip()) {
    if (is_kind(Token::Kind::open)) ++depth;
    if (is_kind(Token::Kind::close) && --depth == 0) {
      skip();
      return;
    }
  }
}

bool Words::skip_item() {
  while (!done()) {
    if (is_kind(Token::Kind::comma)) {
      skip();
      return true;
    }
    if (is_kind(Token::Kind::close)) return false;
    if (is_kind(Token::Kind::open)) {
      skip_parentheses();
    } else {
      skip();
    }
  }
  return false;
}

bool Words::at_name() const { return is_kind(Token::Kind::word) || is_kind(Token::Kind::quoted_name); }

std::string Words::identifier() {
  if (!at_name()) return {};
  return folded(tokens_[at_++].of(sql_));
}

Name Words::name() {
  Name result;
  result.name = identifier();
  while (!result.empty() && is_text(".")) {
    skip();
    result.schema = std::exchange(result.name, identifier());
  }
  return result;
}

std::string Words::type() {
  std::string result;
  bool space = false;
  while (!done() && !is_kind(Token::Kind::comma) && !is_kind(Token::Kind::close) && !is_kind(Token::Kind::string)) {
    if (is_kind(Token::Kind::word) &&
        std::any_of(after_type.begin(), after_type.end(), [&](std::string_view word) { return is(word); })) {
      break;
    }
    if (is_kind(Token::Kind::open)) {
      const auto begin = at_;
      skip_parentheses();
      for (auto i = begin; i < at_; ++i) result += lower_case(tokens_[i].of(sql_));
      space = true;
      continue;
    }
    const bool word = is_kind(Token::Kind::word);
    if (word && space) result += ' ';
    result += lower_case(text());
    space = word;
    skip();
  }
  return result;
}

std::string Words::string_value() const {
  if (!is_kind(Token::Kind::string)) return {};
  auto raw = text();
  const auto open = raw.find('\'');
  raw = raw.substr(open + 1, raw.size() - open - 2);
  std::string result;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    result += raw[i];
    if (raw[i] == '\'') ++i;
  }
  return result;
}

}  // namespace codops::migrate
