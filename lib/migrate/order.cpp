#include <array>
#include <charconv>
#include <cstdint>

#include "lib/migrate/source.hpp"

namespace codops::migrate {

namespace {

// CLDR root collation, as Node 20 sorts these characters. Letters share a primary weight with their capital.
constexpr std::string_view primary_order = "\t\n\v\f\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz";

std::uint32_t primary_weight(unsigned char c) {
  if (c >= 'A' && c <= 'Z') c = static_cast<unsigned char>(c + 32);
  const auto at = primary_order.find(static_cast<char>(c));
  if (at != std::string_view::npos) return static_cast<std::uint32_t>(at) + 1;
  return c < 0x80 ? 0 : 0x1000U + c;  // control characters are ignored
}

// The next weight that counts; 0 at the end.
std::uint32_t next_weight(std::string_view text, std::size_t& at) {
  while (at < text.size()) {
    if (const auto weight = primary_weight(static_cast<unsigned char>(text[at++])); weight != 0) return weight;
  }
  return 0;
}

int compare(std::uint64_t a, std::uint64_t b) { return a < b ? -1 : a > b ? 1 : 0; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

}  // namespace

int locale_compare(std::string_view a, std::string_view b) {
  for (std::size_t i = 0, j = 0;;) {
    const auto x = next_weight(a, i);
    const auto y = next_weight(b, j);
    if (x != y) return compare(x, y);
    if (x == 0) break;
  }
  // Only case is left: the first difference decides, lower case first.
  for (std::size_t i = 0, j = 0;;) {
    const auto x = next_weight(a, i);
    const auto y = next_weight(b, j);
    if (x == 0 || y == 0) return 0;
    if (is_upper(a[i - 1]) != is_upper(b[j - 1])) return is_upper(a[i - 1]) ? 1 : -1;
  }
}

int version_compare(std::string_view a, std::string_view b) {
  const auto next_part = [](std::string_view& text) {
    const auto end = std::min(text.find_first_of("._"), text.size());
    std::uint64_t part = 0;
    std::from_chars(text.data(), text.data() + end, part);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
  };
  while (!a.empty() || !b.empty()) {
    if (const int order = compare(next_part(a), next_part(b)); order != 0) return order;
  }
  return 0;
}

}  // namespace codops::migrate
