#include "lib/engine/json_fields.hpp"

#include <nlohmann/json.hpp>

namespace codops::engine {

using nlohmann::json;

const json& field(const json& value, Path path) {
  static const json nothing;
  const json* current = &value;
  for (const auto name : path) {
    if (!current->is_object()) return nothing;
    const auto found = current->find(name);
    if (found == current->end()) return nothing;
    current = &*found;
  }
  return *current;
}

std::string text_at(const json& value, Path path) {
  const auto& found = field(value, path);
  return found.is_string() ? found.get<std::string>() : std::string{};
}

bool flag_at(const json& value, Path path) {
  const auto& found = field(value, path);
  return found.is_boolean() && found.get<bool>();
}

std::int64_t number_at(const json& value, Path path) {
  const auto& found = field(value, path);
  return found.is_number() ? found.get<std::int64_t>() : 0;
}

std::map<std::string, std::string> texts_by_name_at(const json& value, Path path) {
  std::map<std::string, std::string> texts;
  const auto& found = field(value, path);
  if (!found.is_object()) return texts;
  for (const auto& [name, text] : found.items()) {
    if (text.is_string()) texts.emplace(name, text.get<std::string>());
  }
  return texts;
}

std::vector<std::string> texts_at(const json& value, Path path) {
  std::vector<std::string> texts;
  const auto& found = field(value, path);
  if (!found.is_array()) return texts;
  for (const auto& text : found) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

std::optional<WallTime> time_at(const json& value, Path path) {
  const auto time = parse_rfc3339(text_at(value, path));
  if (!time || time->time_since_epoch().count() <= 0) return std::nullopt;
  return time;
}

}  // namespace codops::engine
