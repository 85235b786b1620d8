#include "lib/text/utf8.hpp"

namespace codops::text {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// The length of the well-formed sequence at `at`, or 0; then `bad` is the length of the ill-formed part (its maximal
// subpart, Unicode 3.9).
std::size_t sequence(std::string_view text, std::size_t at, std::size_t& bad) {
  const auto byte = [&](std::size_t i) -> unsigned { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  bad = 1;
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first <= 0xDF ? 2 : first >= 0xE0 && first <= 0xEF ? 3 : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
  if (length == 0) return 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) < low || byte(i) > high) {
      bad = i;
      return 0;
    }
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

}  // namespace

std::size_t character_length(std::string_view text) {
  std::size_t bad = 0;
  return text.empty() ? 0 : sequence(text, 0, bad);
}

std::optional<std::size_t> invalid_utf8(std::string_view text) {
  std::size_t bad = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto length = sequence(text, at, bad);
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  std::size_t bad = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const auto length = sequence(text, at, bad); length > 0) {
      result += text.substr(at, length);
      at += length;
    } else {
      result += replacement;
      at += bad;
    }
  }
  return result;
}

}  // namespace codops::text
