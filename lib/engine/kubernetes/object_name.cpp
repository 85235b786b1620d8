#include "lib/engine/kubernetes/object_name.hpp"

#include <fmt/format.h>

#include "lib/io/crypto.hpp"

namespace codops::engine::kubernetes {
namespace {

std::string only_these(std::string_view text, std::string_view more, std::size_t most) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  const auto is_letter = [&](char c) { return letters.find(c) != std::string_view::npos || (!more.empty() && c >= 'A' && c <= 'Z'); };
  std::string kept;
  for (const char c : text) {
    const char lower = static_cast<char>(more.empty() && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    kept += is_letter(lower) || lower == '-' || more.find(lower) != std::string_view::npos ? lower : '-';
  }
  const bool good_ends = !kept.empty() && is_letter(kept.front()) && is_letter(kept.back());
  if (kept == text && good_ends && kept.size() <= most) return kept;
  constexpr std::size_t digits = 8;
  kept.resize(std::min(kept.size(), most - digits - 2));
  return fmt::format("x{}-{}", kept, short_hash(text).substr(0, digits));
}

}  // namespace

std::string short_hash(std::string_view text) {
  constexpr std::size_t digits = 24;
  return io::sha256_hex(text).substr(0, digits);
}

std::string dns_label(std::string_view text, std::size_t most) { return only_these(text, {}, most); }

std::string label_value(std::string_view text) {
  constexpr std::size_t most = 63;
  return only_these(text, "_.", most);
}

}  // namespace codops::engine::kubernetes
