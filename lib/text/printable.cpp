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
