#include "lib/text/scalar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

namespace codops::text {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Timestamp {
  int year{}, month{}, day{}, hour{}, minute{}, second{};
  std::string fraction;  // digits, without trailing zeros
  bool has_zone{}, utc{true};
  int offset_minutes{};
};

int days_in(int year, int month) {
  constexpr std::array<int, 12> lengths{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : lengths[static_cast<std::size_t>(month - 1)];
}

// Reads "2006-1-2", "2006-1-2 15:4:5.9" or "2006-1-2T15:4:5.9Z07:00".
class TimestampReader {
 public:
  explicit TimestampReader(std::string_view text) : rest_{text} {}

  std::optional<Timestamp> read() {
    Timestamp time;
    if (!number(4, 4, time.year) || !literal('-') || !number(1, 2, time.month) || !literal('-') ||
        !number(1, 2, time.day))
      return std::nullopt;
    if (time.month < 1 || time.month > 12 || time.day < 1 || time.day > days_in(time.year, time.month))
      return std::nullopt;
    if (rest_.empty()) return time;
    const char separator = rest_.front();
    if (separator != 'T' && separator != 't' && separator != ' ') return std::nullopt;
    rest_.remove_prefix(1);
    if (!number(1, 2, time.hour) || !literal(':') || !number(1, 2, time.minute) || !literal(':') ||
        !number(1, 2, time.second))
      return std::nullopt;
    if (time.hour > 23 || time.minute > 59 || time.second > 59) return std::nullopt;
    if (literal('.') && !fraction(time.fraction)) return std::nullopt;
    if (separator == ' ') return rest_.empty() ? std::optional{time} : std::nullopt;
    return zone(time) ? std::optional{time} : std::nullopt;
  }

 private:
  bool literal(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool number(std::size_t least, std::size_t most, int& into) {
    std::size_t length = 0;
    into = 0;
    while (length < most && length < rest_.size() && is_digit(rest_[length])) into = into * 10 + (rest_[length++] - '0');
    rest_.remove_prefix(length);
    return length >= least;
  }
  bool fraction(std::string& into) {
    while (!rest_.empty() && is_digit(rest_.front())) {
      into += rest_.front();
      rest_.remove_prefix(1);
    }
    if (into.empty() || into.size() > 9) return false;
    while (!into.empty() && into.back() == '0') into.pop_back();
    return true;
  }
  bool zone(Timestamp& time) {
    time.has_zone = true;
    if (literal('Z')) return rest_.empty();
    if (rest_.empty()) return false;
    const int sign = rest_.front() == '-' ? -1 : rest_.front() == '+' ? 1 : 0;
    if (sign == 0) return false;
    rest_.remove_prefix(1);
    int hours = 0, minutes = 0;
    if (!number(2, 2, hours) || !literal(':') || !number(2, 2, minutes) || hours > 23 || minutes > 59) return false;
    time.utc = false;
    time.offset_minutes = sign * (hours * 60 + minutes);
    return rest_.empty();
  }

  std::string_view rest_;
};

// Digits after an optional sign in Go's base 0: 0x, 0o, 0b, a leading 0 is octal.
bool read_integer(std::string_view text, Node& node) {
  node.negative = !text.empty() && text.front() == '-';
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text.front() == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
    text.remove_prefix(base == 8 && letter != 'o' ? 1 : 2);
  }
  if (text.empty() || text.front() == '-' || text.front() == '+') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), node.magnitude, base);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  return !node.negative || node.magnitude <= std::uint64_t{1} << 63;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_real(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const auto begin = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at > begin;
  };
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  if (digits()) {
    if (at < text.size() && text[at] == '.') {
      ++at;
      digits();
    }
  } else {
    if (at >= text.size() || text[at++] != '.' || !digits()) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool resolve_word(Node& node) {
  const std::string_view text = node.text;
  if (one_of(text, {"", "~", "null", "Null", "NULL"})) {
    node.kind = Node::Kind::null;
  } else if (one_of(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) {
    node.kind = Node::Kind::boolean;
    node.boolean = (text.front() | 0x20) == 't';
  } else if (one_of(text, {".nan", ".NaN", ".NAN"})) {
    node.kind = Node::Kind::real;
    node.real = std::numeric_limits<double>::quiet_NaN();
  } else if (one_of(text, {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"})) {
    node.kind = Node::Kind::real;
    node.real = std::numeric_limits<double>::infinity();
  } else if (one_of(text, {"-.inf", "-.Inf", "-.INF"})) {
    node.kind = Node::Kind::real;
    node.real = -std::numeric_limits<double>::infinity();
  } else {
    return false;
  }
  return true;
}

}  // namespace

void resolve_plain(Node& node) {
  node.kind = Node::Kind::string;
  if (resolve_word(node)) return;
  const char first = node.text.front();
  if (!is_digit(first) && first != '+' && first != '-' && first != '.') return;
  if (is_digit(first) && TimestampReader{node.text}.read()) {
    node.kind = Node::Kind::timestamp;
    return;
  }
  std::string digits = node.text;
  if (first != '.') std::erase(digits, '_');
  if (first != '.' && read_integer(digits, node)) {
    node.kind = Node::Kind::integer;
  } else if (looks_real(digits)) {
    node.kind = Node::Kind::real;
    node.real = std::strtod(digits.c_str(), nullptr);
  }
}

std::string format_real(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 64> buffer{};
  const auto magnitude = std::fabs(value);
  const bool scientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e6);
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  return {buffer.data(), result.ptr};
}

std::string typed_text(const Node& scalar) {
  switch (scalar.kind) {
    case Node::Kind::boolean: return scalar.boolean ? "true" : "false";
    case Node::Kind::integer:
      return fmt::format("{}{}", scalar.negative && scalar.magnitude != 0 ? "-" : "", scalar.magnitude);
    case Node::Kind::real: return format_real(scalar.real);
    case Node::Kind::timestamp: {
      const auto time = TimestampReader{scalar.text}.read().value_or(Timestamp{});
      const auto offset = fmt::format("{}{:02}{:02}", time.offset_minutes < 0 ? '-' : '+',
                                      std::abs(time.offset_minutes) / 60, std::abs(time.offset_minutes) % 60);
      return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}{}{} {} {}", time.year, time.month, time.day, time.hour,
                         time.minute, time.second, time.fraction.empty() ? "" : ".", time.fraction, offset,
                         time.utc ? "UTC" : offset);
    }
    default: return scalar.text;
  }
}

}  // namespace codops::text
