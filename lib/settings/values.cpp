#include "lib/settings/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "lib/base/units.hpp"

namespace codops::settings {
namespace {

std::int64_t to_integer(const std::string& word) {
  std::int64_t value{};
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

Milliseconds to_duration(const std::string& word) {
  return std::chrono::duration_cast<Milliseconds>(parse_duration(word).value_or(std::chrono::microseconds{}));
}

// The list that `path` is in: "hooks.pre_deploy" of "hooks.pre_deploy[0].run"; empty when it is in none.
std::string list_of(std::string_view path) {
  const auto open = path.find('[');
  return open == std::string_view::npos ? std::string{} : std::string{path.substr(0, open)};
}

}  // namespace

std::string describe(const Origin& origin) {
  switch (origin.kind) {
    case Origin::Kind::built_in: return "built-in";
    case Origin::Kind::file:
      return origin.line > 0 ? fmt::format("{}:{}:{}", origin.name, origin.line, origin.column) : origin.name;
    default: return origin.name;
  }
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> names(1);
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && i + 1 < path.size() && path[i + 1] == '.') {
      names.back() += path[++i];
    } else if (path[i] == '.') {
      names.emplace_back();
    } else {
      names.back() += path[i];
    }
  }
  return names;
}

std::string escape_name(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '.') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

void Values::set(std::string path, Value value) { values_[std::move(path)] = std::move(value); }

void Values::overlay(const Values& higher) {
  for (const auto& [path, value] : higher.values_) {
    const auto list = value.is_list && value.words.empty() ? path : list_of(path);
    if (list.empty()) continue;
    std::erase_if(values_, [&](const auto& entry) { return entry.first == list || list_of(entry.first) == list; });
  }
  for (const auto& [path, value] : higher.values_) values_[path] = value;
}

Values Values::below(std::string_view prefix) const {
  Values part;
  const auto start = std::string{prefix} + ".";
  for (const auto& [path, value] : values_) {
    if (path.starts_with(start)) part.values_.emplace(path.substr(start.size()), value);
  }
  return part;
}

const Value* Values::find(std::string_view path) const {
  const auto found = values_.find(std::string{path});
  return found == values_.end() ? nullptr : &found->second;
}

std::string Values::text(std::string_view path) const { return optional_text(path).value_or(std::string{}); }

bool Values::boolean(std::string_view path) const { return text(path) == "true"; }

std::int64_t Values::integer(std::string_view path) const { return optional_integer(path).value_or(0); }

Milliseconds Values::duration(std::string_view path) const { return optional_duration(path).value_or(Milliseconds{}); }

std::uint64_t Values::bytes(std::string_view path) const { return optional_bytes(path).value_or(0); }

std::vector<std::string> Values::list(std::string_view path) const {
  const auto* value = find(path);
  return value != nullptr ? value->words : std::vector<std::string>{};
}

std::optional<std::string> Values::optional_text(std::string_view path) const {
  const auto* value = find(path);
  if (value == nullptr || value->words.empty()) return std::nullopt;
  return value->words.back();
}

std::optional<std::int64_t> Values::optional_integer(std::string_view path) const {
  const auto word = optional_text(path);
  return word ? std::optional{to_integer(*word)} : std::nullopt;
}

std::optional<Milliseconds> Values::optional_duration(std::string_view path) const {
  const auto word = optional_text(path);
  return word ? std::optional{to_duration(*word)} : std::nullopt;
}

std::optional<std::uint64_t> Values::optional_bytes(std::string_view path) const {
  const auto word = optional_text(path);
  return word ? parse_bytes(*word) : std::nullopt;
}

std::vector<std::string> Values::names(std::string_view section) const {
  std::vector<std::string> found;
  for (const auto& [path, value] : below(section).values_) {
    auto name = split_path(path).front();
    if (std::find(found.begin(), found.end(), name) == found.end()) found.push_back(std::move(name));
  }
  return found;
}

std::vector<std::string> Values::items(std::string_view list) const {
  std::vector<std::string> found;
  for (;;) {
    auto item = fmt::format("{}[{}]", list, found.size());
    const auto next = values_.lower_bound(item + ".");
    if (next == values_.end() || !next->first.starts_with(item + ".")) return found;
    found.push_back(std::move(item));
  }
}

std::map<std::string, std::string> Values::map(std::string_view section) const {
  std::map<std::string, std::string> found;
  for (const auto& [path, value] : below(section).values_) {
    if (!value.words.empty()) found[split_path(path).front()] = value.words.back();
  }
  return found;
}

}  // namespace codops::settings
