#include "lib/scaffold/dev/version_range.hpp"

#include <charconv>
#include <limits>
#include <vector>

namespace codops::scaffold::dev {
namespace {

constexpr int any = -1;
constexpr Version top{std::numeric_limits<int>::max(), 0, 0};

// [from, to)
struct Span {
  Version from{0, 0, 0}, to{top};
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// Parts that are missing or "x" are `any`.
std::optional<Version> parse_partial(std::string_view text) {
  text = trimmed(text);
  if (!text.empty() && (text.front() == 'v' || text.front() == '=')) text.remove_prefix(1);
  text = text.substr(0, text.find_first_of("-+"));
  Version parts{any, any, any};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto dot = text.find('.');
    const auto part = text.substr(0, dot);
    if (part == "x" || part == "X" || part == "*" || (part.empty() && i == 0 && text.empty())) return parts;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), parts[i]);
    if (error != std::errc{} || end != part.data() + part.size() || parts[i] < 0) return std::nullopt;
    if (dot == std::string_view::npos) return parts;
    text.remove_prefix(dot + 1);
  }
  return std::nullopt;
}

Version floor_of(Version version) {
  for (auto& part : version) part = part == any ? 0 : part;
  return version;
}

// The first version behind all that a partial one means: 1.2 → 1.3.0.
Version behind(const Version& version) {
  if (version[0] == any) return top;
  if (version[1] == any) return {version[0] + 1, 0, 0};
  if (version[2] == any) return {version[0], version[1] + 1, 0};
  return {version[0], version[1], version[2] + 1};
}

std::optional<Span> parse_comparator(std::string_view text) {
  std::string_view sign;
  for (const std::string_view known : {">=", "<=", ">", "<", "^", "~>", "~", "="}) {
    if (text.starts_with(known)) {
      sign = known;
      break;
    }
  }
  const auto version = parse_partial(text.substr(sign.size()));
  if (!version) return std::nullopt;
  const auto from = floor_of(*version);
  if (sign == ">=") return Span{from, top};
  if (sign == ">") return Span{behind(*version), top};
  if (sign == "<") return Span{{0, 0, 0}, from};
  if (sign == "<=") return Span{{0, 0, 0}, behind(*version)};
  if (sign == "^") {
    if (from[0] > 0 || (*version)[1] == any) return Span{from, {from[0] + 1, 0, 0}};
    if (from[1] > 0 || (*version)[2] == any) return Span{from, {0, from[1] + 1, 0}};
    return Span{from, {0, 0, from[2] + 1}};
  }
  if (sign.starts_with('~')) {
    if ((*version)[1] == any) return Span{from, behind(*version)};
    return Span{from, {from[0], from[1] + 1, 0}};
  }
  return Span{from, behind(*version)};
}

std::optional<Span> parse_all_of(std::string_view text) {
  text = trimmed(text);
  if (const auto dash = text.find(" - "); dash != std::string_view::npos) {
    const auto low = parse_partial(text.substr(0, dash));
    const auto high = parse_partial(text.substr(dash + 3));
    if (!low || !high) return std::nullopt;
    return Span{floor_of(*low), behind(*high)};
  }
  Span all;
  while (!text.empty()) {
    // ">= 18" has a space of its own.
    const auto sign_end = std::min(text.find_first_not_of("<>=^~"), text.size());
    const auto start = std::min(text.find_first_not_of(" \t", sign_end), text.size());
    const auto end = std::min(text.find_first_of(" \t,", start), text.size());
    const auto one = parse_comparator(std::string{text.substr(0, sign_end)}.append(text.substr(start, end - start)));
    if (!one) return std::nullopt;
    all.from = std::max(all.from, one->from);
    all.to = std::min(all.to, one->to);
    text = trimmed(text.substr(std::min(end + 1, text.size())));
  }
  return all;
}

std::optional<std::vector<Span>> parse_range(std::string_view range) {
  std::vector<Span> spans;
  for (;;) {
    const auto bars = range.find("||");
    const auto span = parse_all_of(range.substr(0, bars));
    if (!span) return std::nullopt;
    spans.push_back(*span);
    if (bars == std::string_view::npos) return spans;
    range.remove_prefix(bars + 2);
  }
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  const auto parts = parse_partial(text);
  if (!parts || (*parts)[0] == any) return std::nullopt;
  return floor_of(*parts);
}

std::optional<bool> satisfies(const Version& version, std::string_view range) {
  const auto spans = parse_range(range);
  if (!spans) return std::nullopt;
  for (const auto& span : *spans) {
    if (version >= span.from && version < span.to) return true;
  }
  return false;
}

std::optional<Version> lowest(std::string_view range) {
  const auto spans = parse_range(range);
  if (!spans) return std::nullopt;
  std::optional<Version> best;
  for (const auto& span : *spans) {
    if (span.from < span.to && (!best || span.from < *best)) best = span.from;
  }
  return best && *best == Version{0, 0, 0} ? std::nullopt : best;
}

}  // namespace codops::scaffold::dev
