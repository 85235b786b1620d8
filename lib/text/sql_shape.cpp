#include "lib/text/sql_shape.hpp"

namespace codops::text::sql {

void Shape::see(const Token& token, std::string_view text) {
  if (token.kind == Token::Kind::open) ++depth_;
  if (token.kind == Token::Kind::close) --depth_;
  if (token.kind == Token::Kind::word) {
    word(token.of(text));
  } else {
    from_ = begin_ = false;
  }
}

void Shape::word(std::string_view word) {
  if (count_ < words_.size()) words_[count_] = lower_case(word);
  ++count_;
  if (depth_ == 0 && is("copy") && from_ && equals_ignoring_case(word, "stdin")) reads_stdin_ = true;
  from_ = depth_ == 0 && equals_ignoring_case(word, "from");
  if (!defines_routine() || depth_ > 0) return;
  if (body_ == 0) {
    if (begin_ && equals_ignoring_case(word, "atomic")) body_ = 1;
  } else if (equals_ignoring_case(word, "case")) {
    ++body_;
  } else if (equals_ignoring_case(word, "end")) {
    --body_;
  }
  begin_ = equals_ignoring_case(word, "begin");
}

bool Shape::defines_routine() const {
  if (!is("create") || count_ < 2) return false;
  const std::size_t at = words_[1] == "or" && words_[2] == "replace" ? 3 : 1;
  return words_[at] == "function" || words_[at] == "procedure";
}

}  // namespace codops::text::sql
