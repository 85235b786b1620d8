#include "cli/render/columns.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace codops::cli::render {
namespace {

struct Character {
  std::size_t bytes;
  std::size_t columns;
};

using Range = std::pair<std::uint32_t, std::uint32_t>;
// Unicode 15: the blocks that terminals draw in no column, and in two (UAX #11, W and F).
constexpr std::array<Range, 5> zero{{{0x300, 0x36F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}}};
constexpr std::array<Range, 9> wide{{{0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0xA4CF}, {0xAC00, 0xD7A3},
                                     {0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0x1F300, 0x1FAFF},
                                     {0x20000, 0x3FFFD}}};

template <std::size_t N>
bool is_in(std::uint32_t code, const std::array<Range, N>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return code >= range.first && code <= range.second; });
}

Character next(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 && lead < 0xF8 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
  if (length <= 1 || length > text.size()) return {1, 1};
  std::uint32_t code = length == 4 ? lead & 0x07U : length == 3 ? lead & 0x0FU : lead & 0x1FU;
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0U) != 0x80U) return {1, 1};
    code = (code << 6U) | (byte & 0x3FU);
  }
  return {length, is_in(code, zero) ? 0U : is_in(code, wide) ? 2U : 1U};
}

// How many bytes of `text` fill at most `width` columns.
std::size_t bytes_within(std::string_view text, std::size_t width) {
  std::size_t used = 0, bytes = 0;
  while (bytes < text.size()) {
    const auto character = next(text.substr(bytes));
    if (used + character.columns > width) break;
    used += character.columns;
    bytes += character.bytes;
  }
  return bytes;
}

}  // namespace

std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  while (!text.empty()) {
    const auto character = next(text);
    count += character.columns;
    text.remove_prefix(character.bytes);
  }
  return count;
}

std::string fitted(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string{text};
  if (width == 0) return {};
  return std::string{text.substr(0, bytes_within(text, width - 1))} + "…";
}

std::string padded(std::string_view text, std::size_t width) {
  const auto used = columns(text);
  return std::string{text} + std::string(used < width ? width - used : 0, ' ');
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  width = std::max<std::size_t>(width, 1);
  std::vector<std::string> lines(1);
  std::size_t used = 0;
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    auto word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (used > 0 && used + 1 + columns(word) > width) {
      lines.emplace_back();
      used = 0;
    }
    while (columns(word) > width) {
      const auto bytes = std::max<std::size_t>(bytes_within(word, width), 1);
      lines.back() += word.substr(0, bytes);
      lines.emplace_back();
      word.remove_prefix(bytes);
    }
    if (used > 0) lines.back() += ' ';
    lines.back() += word;
    used = columns(lines.back());
  }
  return lines;
}

std::string clean(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == 0x1B) {
      // ESC [ … final byte; any other escape is two bytes.
      if (i + 1 < text.size() && text[i + 1] == '[') {
        i += 2;
        while (i < text.size() && (text[i] < '@' || text[i] > '~')) ++i;
      } else {
        ++i;
      }
    } else if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      ++i;  // C1 controls (U+0080 to U+009F) steer some terminals as ESC does
    } else if (c < 0x20 || c == 0x7F) {
      out += ' ';
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace codops::cli::render
