#include "lib/settings/schema.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "lib/base/units.hpp"
#include "lib/io/shown_word.hpp"
#include "lib/settings/values.hpp"

namespace codops::settings {
namespace {

struct Row {
  std::vector<std::string> segments;
  const Key* key;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> made;
    for (const Key& key : schema()) made.push_back({split_path(key.path), &key});
    return made;
  }();
  return all;
}

// "pre_deploy[]" of "pre_deploy[3]"; other segments as they are.
std::string without_index(const std::string& segment) {
  const auto open = segment.rfind('[');
  return open != std::string::npos && segment.ends_with(']') ? segment.substr(0, open) + "[]" : segment;
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (pattern[i] != "*" && pattern[i] != path[i] && pattern[i] != without_index(path[i])) return false;
  }
  return true;
}

bool all_digits(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::int64_t> to_integer(std::string_view word) {
  std::int64_t value{};
  if (!all_digits(word)) return std::nullopt;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || value > 1'000'000'000'000) return std::nullopt;
  return value;
}

std::string_view article_of(Type type) {
  switch (type) {
    case Type::boolean: return "true or false";
    case Type::integer: case Type::integers: return "a whole number";
    case Type::port: return "a port, 1 to 65535";
    case Type::duration: return "a duration such as 90s or 1h30m";
    case Type::bytes: return "a size such as 64M";
    default: return "text";
  }
}

}  // namespace

const std::vector<Key>& schema() {
  static const std::vector<Key> all = [] {
    std::vector<Key> made = project_keys();
    for (auto part : {migrate_keys(), backup_keys(), health_keys(), setup_dev_keys()}) {
      made.insert(made.end(), part.begin(), part.end());
    }
    return made;
  }();
  return all;
}

const Key* find_key(std::string_view path) {
  const auto segments = split_path(path);
  const Key* found = nullptr;
  for (const Row& row : rows()) {
    if (row.segments.size() != segments.size() || !fits(row.segments, segments)) continue;
    // A literal name goes before a name of the user's.
    if (found == nullptr || std::find(row.segments.begin(), row.segments.end(), "*") == row.segments.end()) {
      found = row.key;
    }
  }
  return found;
}

std::string pattern_of(std::string_view path) {
  const auto segments = split_path(path);
  for (const Row& row : rows()) {
    if (row.segments.size() < segments.size() || !fits(row.segments, segments)) continue;
    return fmt::format("{}", fmt::join(row.segments.begin(),
                                       row.segments.begin() + static_cast<std::ptrdiff_t>(segments.size()), "."));
  }
  return {};
}

std::vector<std::string> children_of(std::string_view section) {
  const auto prefix = section.empty() ? std::vector<std::string>{} : split_path(section);
  std::vector<std::string> children;
  for (const Row& row : rows()) {
    if (row.segments.size() <= prefix.size() || !std::equal(prefix.begin(), prefix.end(), row.segments.begin())) {
      continue;
    }
    const auto& child = row.segments[prefix.size()];
    if (std::find(children.begin(), children.end(), child) == children.end()) children.push_back(child);
  }
  return children;
}

std::string variable_of(std::string_view path) {
  if (path.find('*') != std::string_view::npos || path.find("[]") != std::string_view::npos) return {};
  std::string name{"CODOPS_"};
  for (const char c : path) name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string check_value(const Key& key, std::string_view word) {
  bool good = true;
  switch (key.type) {
    case Type::text: case Type::list: case Type::argv: case Type::secret: break;
    case Type::boolean: good = word == "true" || word == "false"; break;
    case Type::integer: case Type::integers: good = to_integer(word).has_value(); break;
    case Type::port: good = to_integer(word).value_or(0) >= 1 && to_integer(word).value_or(0) <= 65535; break;
    case Type::duration: good = parse_duration(word).has_value(); break;
    case Type::bytes: good = parse_bytes(word).has_value(); break;
    case Type::choice:
      if (std::find(key.choices.begin(), key.choices.end(), word) != key.choices.end()) return {};
      return fmt::format("is one of {}, not \"{}\"", fmt::join(key.choices, ", "), io::shown_word(word));
  }
  return good ? std::string{} : fmt::format("takes {}, not \"{}\"", article_of(key.type), io::shown_word(word));
}

}  // namespace codops::settings
