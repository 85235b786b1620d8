#pragma once
// A script's statements, split where the server itself would: quotes, E'', nested comments, $tag$, parentheses,
// BEGIN ATOMIC bodies and the inline data of COPY … FROM STDIN. Joining the pieces gives the text again.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/migrate/lexer.hpp"

namespace codops::migrate {

struct Statement {
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  std::size_t begin{}, end{};  // of the piece: leading space and comments, the statement, ';', inline data
  std::size_t start{};         // of the first token that matters; == end when there is none
  std::size_t stop{};          // behind the last token that matters, ';' left out; == start when there is none
  std::size_t data_begin{none}, data_end{none};  // of COPY's inline data, without the line "\."
  std::size_t backslash{none};                   // of a psql command inside or instead of the statement
  bool complete{true};                           // false: the text ended inside a quote, a comment or parentheses

  bool empty() const { return start == stop; }
  bool has_data() const { return data_begin != none; }
  std::string_view piece(std::string_view text) const { return text.substr(begin, end - begin); }
  // What is sent: from the first token, without ';' and without inline data.
  std::string_view sql(std::string_view text) const { return text.substr(start, stop - start); }
};

// `escapes`: standard_conforming_strings is off when the script begins; where the script sets it, the rest is read accordingly, as psql does.
std::vector<Statement> split(std::string_view text, bool escapes = false);
// Does the statement set standard_conforming_strings? true: to off; `initial`: where RESET leads.
std::optional<bool> sets_escapes(std::string_view sql, bool initial);

// 1-based; the column counts characters.
struct Position {
  std::size_t line{1}, column{1};
};
Position position_of(std::string_view text, std::size_t offset);
// Where the `characters`-th character (1-based, UTF-8) of `text` begins; its size when there are fewer.
std::size_t offset_of_character(std::string_view text, std::size_t characters);

}  // namespace codops::migrate
