#include "lib/text/interpolation.hpp"

#include <fmt/format.h>

#include "lib/base/failure.hpp"

namespace codops::text {
namespace {

constexpr int deepest = 50;

bool begins_name(char c) { return c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }
bool continues_name(char c) { return begins_name(c) || (c >= '0' && c <= '9'); }

std::size_t name_length(std::string_view text) {
  if (text.empty() || !begins_name(text.front())) return 0;
  std::size_t length = 1;
  while (length < text.size() && continues_name(text[length])) ++length;
  return length;
}

// Where the brace that `text` begins inside of is closed: every "${" opens one more.
std::size_t closing_brace(std::string_view text) {
  int open = 1;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\n') break;  // as compose: a variable ends in the line where it began
    if (text[at] == '}' && --open == 0) return at;
    if (text.substr(at).starts_with("${")) {
      ++open;
      ++at;
    }
  }
  return std::string_view::npos;
}

[[noreturn]] void invalid(std::string_view from) {
  const auto shown = from.substr(0, std::min(from.find('\n'), std::size_t{40}));
  throw Failure{Exit::config, fmt::format("\"{}\" is not a valid variable", shown),
                "write $$ for a dollar sign, or ${NAME}, ${NAME:-default}, ${NAME:?message}"};
}

class Interpolator {
 public:
  Interpolator(const Lookup& lookup, const OnUnset& on_unset) : lookup_{lookup}, on_unset_{on_unset} {}

  std::string run(std::string_view text, int depth) {
    if (depth > deepest) throw Failure{Exit::config, "variables are nested too deeply"};
    std::string out;
    while (!text.empty()) {
      const auto dollar = text.find('$');
      out += text.substr(0, dollar);
      if (dollar == std::string_view::npos) break;
      text.remove_prefix(dollar);
      text.remove_prefix(variable(text, out, depth));
    }
    return out;
  }

 private:
  // `text` begins with `$`; returns how much of it was read.
  std::size_t variable(std::string_view text, std::string& out, int depth) {
    const auto rest = text.substr(1);
    if (rest.starts_with('$')) {
      out += '$';
      return 2;
    }
    if (rest.starts_with('{')) return braced(text, out, depth);
    const auto length = name_length(rest);
    out += length == 0 ? std::string{"$"} : plain(rest.substr(0, length));
    return 1 + length;
  }

  std::size_t braced(std::string_view text, std::string& out, int depth) {
    const auto inside = text.substr(2);
    const auto length = name_length(inside);
    if (length == 0) invalid(text);
    const auto name = inside.substr(0, length);
    auto rest = inside.substr(length);
    if (rest.starts_with('}')) {
      out += plain(name);
      return 2 + length + 1;
    }
    const bool empty_counts = rest.starts_with(':');
    if (empty_counts) rest.remove_prefix(1);
    if (rest.empty() || std::string_view{"-?+"}.find(rest.front()) == std::string_view::npos) invalid(text);
    const char form = rest.front();
    rest.remove_prefix(1);
    const auto end = closing_brace(rest);
    if (end == std::string_view::npos) invalid(text);
    const auto second = run(rest.substr(0, end), depth + 1);
    out += chosen(name, form, empty_counts, second);
    return static_cast<std::size_t>(rest.data() - text.data()) + end + 1;
  }

  std::string chosen(std::string_view name, char form, bool empty_counts, const std::string& second) {
    const auto value = lookup_(name);
    const bool present = value && !(empty_counts && value->empty());
    if (form == '+') return present ? second : std::string{};
    if (present) return *value;
    if (form == '-') return second;
    throw Failure{Exit::config,
                  fmt::format("the variable \"{}\" {}{}{}", name, value ? "is empty" : "is not set",
                              second.empty() ? "" : ": ", second),
                  fmt::format("set {} in the environment's file", name)};
  }

  std::string plain(std::string_view name) {
    if (auto value = lookup_(name)) return std::move(*value);
    if (on_unset_) on_unset_(name);
    return {};
  }

  const Lookup& lookup_;
  const OnUnset& on_unset_;
};

}  // namespace

std::string interpolate(std::string_view text, const Lookup& lookup, const OnUnset& on_unset) {
  if (text.find('$') == std::string_view::npos) return std::string{text};
  return Interpolator{lookup, on_unset}.run(text, 0);
}

}  // namespace codops::text
