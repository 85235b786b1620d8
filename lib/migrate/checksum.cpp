#include <array>
#include <cstdint>
#include <string>

#include "lib/io/crypto.hpp"
#include "lib/migrate/source.hpp"
#include "lib/text/utf8.hpp"

namespace codops::migrate {

namespace {

constexpr std::string_view bom = "\xEF\xBB\xBF";

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

std::string_view without_bom(std::string_view text) {
  if (text.starts_with(bom)) text.remove_prefix(bom.size());
  return text;
}

std::string checksum_of(Layout layout, const Migration& migration) {
  if (!migration.on_disk.empty()) return checksum_of(layout, loaded(migration));
  if (layout == Layout::prisma) return io::sha256_hex(codops::text::replace_invalid_utf8(migration.script));
  if (layout == Layout::flyway) return line_crc(migration.script);
  return {};
}

bool checksum_matches(Layout layout, const Migration& migration, std::string_view recorded) {
  if (!migration.on_disk.empty()) return checksum_matches(layout, loaded(migration), recorded);
  if (layout != Layout::prisma) return recorded.empty() || recorded == checksum_of(layout, migration);
  const auto text = codops::text::replace_invalid_utf8(migration.script);
  const auto matches = [&](std::string_view form) {
    const auto hex = io::sha256_hex(form);
    return recorded == hex || (recorded.size() != hex.size() && recorded == unpadded(hex));
  };
  return matches(text) || matches(with_line_feeds(text)) || matches(with_carriage_returns(text));
}

}  // namespace codops::migrate
