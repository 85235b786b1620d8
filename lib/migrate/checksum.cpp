#include <array>
#include <cstdint>
#include <string>

#include "lib/io/crypto.hpp"
#include "lib/migrate/source.hpp"

namespace codops::migrate {

namespace {

constexpr std::string_view bom = "\xEF\xBB\xBF";
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

std::string with_line_feeds(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    result += text[i];
  }
  return result;
}

std::string with_carriage_returns(std::string_view text) {
  std::string result;
  for (const char c : with_line_feeds(text)) {
    if (c == '\n') result += '\r';
    result += c;
  }
  return result;
}

// "{:x}" of each byte: early Prisma left out the leading zeros.
std::string unpadded(std::string_view hex) {
  std::string result;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    if (hex[i] != '0') result += hex[i];
    result += hex[i + 1];
  }
  return result;
}

constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1U) != 0 ? 0xEDB88320U ^ (value >> 1) : value >> 1;
    table[i] = value;
  }
  return table;
}();

// Flyway: CRC32 over the lines without their ends, as a signed number.
std::string line_crc(std::string_view text) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : without_bom(text)) {
    if (c == '\n' || c == '\r') continue;
    crc = crc_table[(crc ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (crc >> 8);
  }
  return std::to_string(static_cast<std::int32_t>(~crc));
}

}  // namespace

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

std::string_view without_bom(std::string_view text) {
  if (text.starts_with(bom)) text.remove_prefix(bom.size());
  return text;
}

std::string checksum_of(Layout layout, const Migration& migration) {
  if (!migration.on_disk.empty()) return checksum_of(layout, loaded(migration));
  if (layout == Layout::prisma) return io::sha256_hex(replace_invalid_utf8(migration.script));
  if (layout == Layout::flyway) return line_crc(migration.script);
  return {};
}

bool checksum_matches(Layout layout, const Migration& migration, std::string_view recorded) {
  if (!migration.on_disk.empty()) return checksum_matches(layout, loaded(migration), recorded);
  if (layout != Layout::prisma) return recorded.empty() || recorded == checksum_of(layout, migration);
  const auto text = replace_invalid_utf8(migration.script);
  const auto matches = [&](std::string_view form) {
    const auto hex = io::sha256_hex(form);
    return recorded == hex || (recorded.size() != hex.size() && recorded == unpadded(hex));
  };
  return matches(text) || matches(with_line_feeds(text)) || matches(with_carriage_returns(text));
}

}  // namespace codops::migrate
