// PostgreSQL doesn't read its own text back as it was: of (ARRAY['a'::varchar, 'b'::varchar])::text[], as it writes an IN list, a dump and
// restore makes ARRAY[('a'::varchar)::text, ('b'::varchar)::text]. The same for every element: a cast of an array casts each of them.
#include <vector>

#include "lib/migrate/verify.hpp"

namespace codops::migrate {

namespace {

struct Elements {
  std::vector<std::string_view> parts;
  std::size_t end{};  // behind the closing bracket
};

// `at`: behind the opening bracket. No end: end is 0.
Elements elements_of(std::string_view text, std::size_t at) {
  Elements elements;
  int depth = 0;
  char quote = '\0';
  std::size_t begin = at;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(' || c == '[') {
      ++depth;
    } else if (depth > 0 && (c == ')' || c == ']')) {
      --depth;
    } else if (depth == 0 && (c == ',' || c == ']')) {
      elements.parts.push_back(text.substr(begin, at - begin));
      if (c == ']') {
        elements.end = at + 1;
        return elements;
      }
      begin = at + 2;
    }
  }
  return elements;
}

}  // namespace

std::string as_dumped(std::string_view definition) {
  constexpr std::string_view opening = "(ARRAY[", closing = ")::", array = "[]";
  std::string result;
  for (;;) {
    const auto found = definition.find(opening);
    result += definition.substr(0, found);
    if (found == std::string_view::npos) return result;
    const auto elements = elements_of(definition, found + opening.size());
    const auto type_at = elements.end + closing.size();
    const auto type_end = elements.end > 0 && definition.substr(elements.end).starts_with(closing) ? definition.find(array, type_at) : std::string_view::npos;
    // A type's name, as far as it can be told: "text", "character varying", "app.mood".
    const auto type = type_end == std::string_view::npos ? std::string_view{} : definition.substr(type_at, type_end - type_at);
    if (type.empty() || type.find_first_of("'()[]=<>,;\n") != std::string_view::npos) {
      result += opening;
      definition.remove_prefix(found + opening.size());
      continue;
    }
    result += "ARRAY[";
    for (std::size_t i = 0; i < elements.parts.size(); ++i) result.append(i > 0 ? ", (" : "(").append(as_dumped(elements.parts[i])).append(")::").append(type);
    result += "]";
    definition.remove_prefix(type_end + array.size());
  }
}

}  // namespace codops::migrate
