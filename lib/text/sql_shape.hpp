#pragma once
// What the tokens of a statement that were seen so far say about it: whether a semicolon ends it, whether rows follow it.
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "lib/text/sql_lexer.hpp"

namespace codops::text::sql {

class Shape {
 public:
  void see(const Token& token, std::string_view text);  // each that is no space or comment, in order
  // Not inside parentheses, nor in a routine's body that is BEGIN ATOMIC … END.
  bool ends_here() const { return depth_ <= 0 && body_ == 0; }
  bool complete() const { return depth_ <= 0 && body_ <= 0; }  // should the text end now
  bool reads_stdin() const { return reads_stdin_; }             // COPY … FROM STDIN

 private:
  void word(std::string_view word);
  bool is(std::string_view first) const { return count_ > 0 && words_[0] == first; }
  bool defines_routine() const;

  std::array<std::string, 4> words_{};
  std::size_t count_{};
  int depth_{}, body_{};
  bool from_{}, begin_{}, reads_stdin_{};
};

}  // namespace codops::text::sql
