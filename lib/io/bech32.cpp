#include "lib/io/bech32.hpp"

#include <cstdint>

namespace codops::io {
namespace {

constexpr std::string_view alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

std::uint32_t checksum(std::string_view values) {
  constexpr std::array<std::uint32_t, 5> generator{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  std::uint32_t state = 1;
  for (const char value : values) {
    const auto top = state >> 25U;
    state = ((state & 0x1ffffffU) << 5U) ^ static_cast<unsigned char>(value);
    for (unsigned bit = 0; bit < 5; ++bit) {
      if (((top >> bit) & 1U) != 0U) state ^= generator[bit];
    }
  }
  return state;
}

std::string expanded(std::string_view prefix) {
  std::string values;
  for (const char c : prefix) values += static_cast<char>(static_cast<unsigned char>(c) >> 5U);
  values += '\0';
  for (const char c : prefix) values += static_cast<char>(c & 31);
  return values;
}

// Regroups bits; nullopt when what is left over at the end is not zero padding (only checked when narrowing to bytes).
std::optional<std::string> regroup(std::string_view values, unsigned from, unsigned to) {
  std::string result;
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char value : values) {
    group = (group << from) | static_cast<unsigned char>(value);
    bits += from;
    while (bits >= to) {
      bits -= to;
      result += static_cast<char>((group >> bits) & ((1U << to) - 1U));
    }
  }
  const auto rest = group & ((1U << bits) - 1U);
  if (to < from) {
    if (bits > 0) result += static_cast<char>((rest << (to - bits)) & ((1U << to) - 1U));
  } else if (bits >= from || rest != 0) {
    return std::nullopt;
  }
  return result;
}

}  // namespace

std::string to_bech32(std::string_view prefix, std::string_view bytes) {
  auto values = *regroup(bytes, 8, 5);
  const auto sum = checksum(expanded(prefix) + values + std::string(6, '\0')) ^ 1U;
  for (unsigned i = 0; i < 6; ++i) values += static_cast<char>((sum >> (5U * (5U - i))) & 31U);
  std::string text{prefix};
  text += '1';
  for (const char value : values) text += alphabet[static_cast<unsigned char>(value)];
  return text;
}

std::optional<Bech32> from_bech32(std::string_view text) {
  std::string lower;
  bool has_lower = false, has_upper = false;
  for (const char c : text) {
    if (c < 33 || c > 126) return std::nullopt;
    has_lower |= c >= 'a' && c <= 'z';
    has_upper |= c >= 'A' && c <= 'Z';
    lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const auto separator = lower.rfind('1');
  if ((has_lower && has_upper) || separator == std::string::npos || separator == 0 || lower.size() - separator < 7) {
    return std::nullopt;
  }
  const auto prefix = lower.substr(0, separator);
  std::string values;
  for (const char c : std::string_view{lower}.substr(separator + 1)) {
    const auto value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    values += static_cast<char>(value);
  }
  if (checksum(expanded(prefix) + values) != 1) return std::nullopt;
  auto bytes = regroup(std::string_view{values}.substr(0, values.size() - 6), 5, 8);
  if (!bytes) return std::nullopt;
  return Bech32{prefix, std::move(*bytes)};
}

}  // namespace codops::io
