#include "lib/base/without_secret.hpp"

#include <algorithm>
#include <cctype>

namespace codops {

std::string without_secret(std::string_view text, const Secret& secret) {
  constexpr std::size_t telling = 16, short_word = 4;
  const std::string_view value{secret.reveal()};
  if (value.empty()) return std::string{text};
  const auto start = value.substr(0, telling);
  const auto part_of_a_word = [&](std::size_t at) { return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0; };
  std::string out;
  std::size_t position = 0;
  for (auto at = text.find(start); at != std::string_view::npos; at = text.find(start, at)) {
    const auto rest = text.substr(at);
    const auto size = static_cast<std::size_t>(std::mismatch(value.begin(), value.end(), rest.begin(), rest.end()).first - value.begin());
    if (value.size() < short_word && ((at > 0 && part_of_a_word(at - 1)) || part_of_a_word(at + size))) {
      ++at;
      continue;
    }
    out.append(text.substr(position, at - position)).append(Secret::shown);
    at = position = at + size;
  }
  return out.append(text.substr(position));
}

}  // namespace codops
