#include <algorithm>
#include <charconv>
#include <cstdint>

#include "lib/migrate/source.hpp"

namespace codops::migrate {

namespace {

// CLDR root collation, as Node 20 sorts these characters. Letters share a primary weight with their capital.
constexpr std::string_view primary_order = "\t\n\v\f\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz";

// U+00C0 to U+017F, one column each: the letter that it is a form of (a capital: it follows that letter; ?: neither), its accent
// ('.': none, then in their order), and whether it is a capital.
constexpr char32_t first_form = 0xC0;
constexpr std::string_view forms =
    "aaaaaaaceeeeiiiidnooooo?ouuuuyZsaaaaaaaceeeeiiiidnooooo?ouuuuyZyaaaaaaccccccccddddeeeeeeeeeegggg"
    "gggghhhhiiiiiiiiiIiijjkkQllllllllllnnnnnn?NNoooooooorrrrrrssssssssttttTTuuuuuuuuuuuuwwyyyzzzzzzs";
constexpr std::string_view accents =
    "badigfzlbadgbadgzibadig.kbadgazzbadigfzlbadgbadgzibadig.kbadgazgnnccmmaaddjjeeeeyynnccjjmmeeddcc"
    "jjllddzziinnccmmjz..ddllzaalleezzyyaalleezzznncchhzzaalleeaaddlleelleezziinnccffhhmmddddgaajjeez";
constexpr std::string_view cases =
    "UUUUUUUUUUUUUUUUUUUUUUUlUUUUUUUlllllllllllllllllllllllllllllllllUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUl"
    "UlUlUlUlUlUlUlUlUlUUUlUllUlUlUlUlUlUlUlUllUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUlUUlUlUll";
static_assert(forms.size() == 0x180 - first_form && accents.size() == forms.size() && cases.size() == forms.size());
// Combining marks in the order of `accents`.
constexpr std::u32string_view marks = U"\u0301\u0300\u0306\u0302\u030c\u030a\u0308\u030b\u0303\u0307\u0338\u0327\u0328\u0304";

struct Weight {
  std::uint64_t primary{};
  char accent{'.'};
  bool upper{};
};

char32_t next_character(std::string_view text, std::size_t& at) {
  const auto first = static_cast<unsigned char>(text[at++]);
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
  char32_t c = more == 0 ? first : first & (0x3FU >> more);
  for (int i = 0; i < more && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; ++i) {
    c = (c << 6) | (static_cast<unsigned char>(text[at++]) & 0x3FU);
  }
  return c;
}

// Arrows, signs, dingbats, emoji: in the root collation behind '~' and before the currencies, here by number among themselves.
bool is_symbol(char32_t c) { return (c >= 0x2190 && c <= 0x2BFF) || (c >= 0x1F000 && c <= 0x1FAFF); }

// Gaps leave room for what follows a letter or a sign.
std::uint64_t primary_of(char c) { return (primary_order.find(c) + 1) << 22U; }
constexpr std::uint64_t behind_z = std::uint64_t{1} << 40U;
bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
char lower(char c) { return is_capital(c) ? static_cast<char>(c + 32) : c; }

// Letters that stand for two.
char second_letter(char32_t c) {
  switch (c) {
    case 0xC6: case 0xE6: case 0x152: case 0x153: return 'e';
    case 0xDF: return 's';
    case 0x132: case 0x133: return 'j';
    default: return '\0';
  }
}

void add_form(std::vector<Weight>& weights, char32_t c) {
  const auto at = static_cast<std::size_t>(c - first_form);
  const char letter = forms[at];
  const bool upper = cases[at] == 'U';
  if (letter == '?') return weights.push_back({behind_z + c, '.', upper});
  weights.push_back({primary_of(lower(letter)) + (is_capital(letter) ? 1U : 0U), accents[at], upper});
  if (const char second = second_letter(c); second != '\0') weights.push_back({primary_of(second), accents[at], upper});
}

std::vector<Weight> weights_of(std::string_view text) {
  std::vector<Weight> weights;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = next_character(text, at);
    if (c < 0x80) {
      const char plain = static_cast<char>(c);
      // Control characters are ignored.
      if (primary_order.find(lower(plain)) != std::string_view::npos) weights.push_back({primary_of(lower(plain)), '.', is_capital(plain)});
    } else if (c >= first_form && c < first_form + forms.size()) {
      add_form(weights, c);
    } else if (const auto mark = marks.find(c); mark != std::u32string_view::npos) {
      if (!weights.empty()) weights.back().accent = static_cast<char>('a' + mark);
    } else if (is_symbol(c)) {
      weights.push_back({primary_of('~') + c, '.', false});
    } else {
      weights.push_back({behind_z + c, '.', false});
    }
  }
  return weights;
}

int compare(std::uint64_t a, std::uint64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

}  // namespace

int locale_compare(std::string_view a, std::string_view b) {
  // Hundreds of names differ in their timestamp first.
  const auto [at, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (at != a.end() && other != b.end() && is_digit(*at) && is_digit(*other)) return *at < *other ? -1 : 1;
  const auto x = weights_of(a);
  const auto y = weights_of(b);
  const auto common = std::min(x.size(), y.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (x[i].primary != y[i].primary) return compare(x[i].primary, y[i].primary);
  }
  if (x.size() != y.size()) return compare(x.size(), y.size());
  // Only accents are left, then case: the first difference decides, lower case first.
  for (std::size_t i = 0; i < common; ++i) {
    if (x[i].accent != y[i].accent) return compare(static_cast<unsigned char>(x[i].accent), static_cast<unsigned char>(y[i].accent));
  }
  for (std::size_t i = 0; i < common; ++i) {
    if (x[i].upper != y[i].upper) return x[i].upper ? 1 : -1;
  }
  return 0;
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

int running_order(Layout layout, std::string_view a, std::string_view b) {
  switch (layout) {
    case Layout::prisma: return locale_compare(a, b);
    case Layout::dbmate: return a.compare(b);
    case Layout::golang_migrate:
    case Layout::flyway: return version_compare(a, b);
  }
  return 0;
}

std::string matching_key(Layout layout, std::string_view key) {
  if (layout != Layout::flyway || key.starts_with("R__")) return std::string{key};
  std::string result;
  std::size_t significant = 0;  // behind the last part that is not zero
  while (!key.empty()) {
    const auto end = std::min(key.find_first_of("._"), key.size());
    auto part = key.substr(0, end);
    part.remove_prefix(std::min(part.find_first_not_of('0'), part.size()));
    result.append(result.empty() ? "" : ".").append(part.empty() ? "0" : part);
    if (!part.empty()) significant = result.size();
    key.remove_prefix(std::min(end + 1, key.size()));
  }
  result.resize(significant);
  return result.empty() ? "0" : result;
}

}  // namespace codops::migrate
