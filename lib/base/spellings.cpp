#include "lib/base/spellings.hpp"

#include <algorithm>
#include <cctype>

namespace codops {
namespace {

constexpr std::string_view upper_digits = "0123456789ABCDEF";
constexpr std::string_view lower_digits = "0123456789abcdef";

void append_hex(std::string& out, char c, std::string_view digits) {
  const auto byte = static_cast<unsigned char>(c);
  out += digits[byte >> 4U];
  out += digits[byte & 0xFU];
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// One backslash before what `marked` has, letters for the usual control characters, "\x1B" for others.
std::string backslashed(std::string_view text, std::string_view marked, std::string_view digits) {
  std::string out;
  for (const char c : text) {
    if (marked.find(c) != std::string_view::npos) (out += '\\') += c;
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (c == '\b') out += "\\b";
    else if (c == '\f') out += "\\f";
    else if (is_control(c)) append_hex(out += "\\x", c, digits);
    else out += c;
  }
  return out;
}

// JSON has no "\x1B", and a shell's double quotes leave control characters as they are: those of JSON are what is logged.
std::string as_json(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_control(c) && c != 0x7f && std::string_view{"\n\r\t\b\f"}.find(c) == std::string_view::npos) append_hex(out += "\\u00", c, lower_digits);
    else out += backslashed(std::string_view{&c, 1}, "\"\\", lower_digits);
  }
  return out;
}

// Inside a shell's single quotes: what `set`, `export -p` and `set -x` print.
std::string single_quoted(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') out += "'\\''";
    else out += c;
  }
  return out;
}

// `kept`: what stands for itself beside letters and digits.
std::string percent_encoded(std::string_view text, std::string_view kept, bool plus_for_blank, std::string_view digits) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || kept.find(c) != std::string_view::npos) out += c;
    else if (c == ' ' && plus_for_blank) out += '+';
    else append_hex(out += '%', c, digits);
  }
  return out;
}

// Those that differ from `text`, each once.
class Spellings {
 public:
  explicit Spellings(std::string_view text) : text_{text} {}
  void add(std::string spelling) {
    if (spelling != text_ && std::find(found_.begin(), found_.end(), spelling) == found_.end()) found_.push_back(std::move(spelling));
  }
  std::vector<std::string> take() { return std::move(found_); }

 private:
  std::string_view text_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> quoted_spellings(std::string_view text) {
  Spellings found{text};
  found.add(as_json(text));
  found.add(single_quoted(text));
  for (const auto digits : {upper_digits, lower_digits}) {  // node's, Python's
    for (const std::string_view marked : {"\\", "\\'", "\\\"", "\\`"}) found.add(backslashed(text, marked, digits));
  }
  return found.take();
}

std::vector<std::string> encoded_spellings(std::string_view text) {
  Spellings found{text};
  for (const auto digits : {upper_digits, lower_digits}) {
    found.add(percent_encoded(text, "-_.!~*'()", false, digits));  // encodeURIComponent
    found.add(percent_encoded(text, "-_.~", false, digits));       // RFC 3986, curl
    found.add(percent_encoded(text, "-_.~/", false, digits));      // Python's quote
    found.add(percent_encoded(text, "*-._", true, digits));        // HTML forms, URLSearchParams
    found.add(percent_encoded(text, "-_.~", true, digits));        // Go's QueryEscape, Python's quote_plus
  }
  return found.take();
}

}  // namespace codops
