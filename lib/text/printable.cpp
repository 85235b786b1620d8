#include "lib/text/printable.hpp"

namespace codops::text {
namespace {

// C0, DEL, and C1, which some terminals obey as well; U+202A…E and U+2066…9 turn the order of what is read around.
bool is_control(std::string_view character) {
  if (character.size() == 1) return static_cast<unsigned char>(character[0]) < 0x20 || character[0] == 0x7f;
  if (character.size() == 2) return character[0] == '\xc2' && static_cast<unsigned char>(character[1]) < 0xa0;
  return character.size() == 3 && ((character >= "\xe2\x80\xaa" && character <= "\xe2\x80\xae") || (character >= "\xe2\x81\xa6" && character <= "\xe2\x81\xa9"));
}

}  // namespace

// RFC 3629, 4.
std::size_t character_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
  const auto follows = [&](std::size_t at, unsigned from = 0x80, unsigned to = 0xbf) { return byte(at) >= from && byte(at) <= to; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  if (first >= 0xf0 && first <= 0xf4) return follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

std::string printable(std::string_view text, std::size_t most) {
  std::string shown;
  while (!text.empty()) {
    const auto length = character_length(text);
    const auto character = text.substr(0, length == 0 ? 1 : length);
    const auto as = length == 0 || is_control(character) ? std::string_view{"?"} : character;
    if (shown.size() + as.size() > most) return shown + "…";
    shown += as;
    text.remove_prefix(character.size());
  }
  return shown;
}

}  // namespace codops::text
