#include "lib/kube/fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "lib/base/ascii.hpp"
#include "lib/base/known_secrets.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

void collect(const Json& fields, FieldPath& path, std::vector<FieldPath>& leaves) {
  bool below = false;
  for (const auto& [name, child] : fields.items()) {
    if (name.size() < 2 || name[1] != ':') continue;
    FieldStep step{FieldStep::Kind::name, name.substr(2)};
    switch (name[0]) {
      case 'f': break;
      case 'k': step.kind = FieldStep::Kind::key; break;
      case 'v': step.kind = FieldStep::Kind::value; break;
      case 'i': step.kind = FieldStep::Kind::index; break;
      default: continue;
    }
    below = true;
    path.push_back(std::move(step));
    collect(child, path, leaves);
    path.pop_back();
  }
  if (!below && !path.empty()) leaves.push_back(path);
}

const Json* item_at(const Json& list, const FieldStep& step) {
  if (!list.is_array()) return nullptr;
  const auto wanted = Json::parse(step.text, nullptr, false);
  if (step.kind == FieldStep::Kind::index) return wanted.is_number_unsigned() && wanted.get<std::size_t>() < list.size() ? &list[wanted.get<std::size_t>()] : nullptr;
  for (const auto& item : list) {
    if (step.kind == FieldStep::Kind::value && item == wanted) return &item;
    if (step.kind != FieldStep::Kind::key || !item.is_object() || !wanted.is_object()) continue;
    bool all = true;
    for (const auto& [key, value] : wanted.items()) {
      const auto found = item.find(key);
      // protocol is a key with a default that manifests leave out.
      all = all && (found != item.end() ? *found == value : key == "protocol" && value == "TCP");
    }
    if (all) return &item;
  }
  return nullptr;
}

}  // namespace

std::string path_text(const FieldPath& path) {
  std::string text;
  for (const auto& step : path) {
    switch (step.kind) {
      case FieldStep::Kind::name: text += "." + step.text; break;
      case FieldStep::Kind::index: text += "[" + step.text + "]"; break;
      case FieldStep::Kind::value: text += "[=" + step.text + "]"; break;
      case FieldStep::Kind::key: {
        const auto key = Json::parse(step.text, nullptr, false);
        std::string words;
        if (key.is_object()) {
          for (const auto& [name, value] : key.items()) words += fmt::format("{}{}={}", words.empty() ? "" : ",", name, value.dump());
        }
        text += "[" + words + "]";
        break;
      }
    }
  }
  return text;
}

const Json* value_at(const Json& object, const FieldPath& path) {
  const Json* at = &object;
  for (const auto& step : path) {
    if (step.kind == FieldStep::Kind::name) {
      if (!at->is_object()) return nullptr;
      const auto found = at->find(step.text);
      if (found == at->end()) return nullptr;
      at = &*found;
    } else {
      at = item_at(*at, step);
      if (!at) return nullptr;
    }
  }
  return at;
}

std::vector<FieldPath> leaves_of(const Json& fields) {
  std::vector<FieldPath> leaves;
  FieldPath path;
  if (fields.is_object()) collect(fields, path, leaves);
  return leaves;
}

void unite(Json& into, const Json& from) {
  if (!into.is_object() || !from.is_object()) {
    into = from;
    return;
  }
  for (const auto& [name, value] : from.items()) unite(into[name], value);
}

Json merged(const Json& live, const Json& desired, const std::string& manager) {
  auto result = live;
  const auto entries = live.value("/metadata/managedFields"_json_pointer, Json::array());
  for (const auto& entry : entries) {
    if (entry.value("manager", "") != manager || entry.value("operation", "") != "Apply" || !entry.value("subresource", "").empty()) continue;
    for (const auto& path : leaves_of(entry.value("fieldsV1", Json::object()))) {
      const bool names = std::all_of(path.begin(), path.end(), [](const auto& step) { return step.kind == FieldStep::Kind::name; });
      if (!names || path.empty() || value_at(desired, path) != nullptr) continue;
      Json::json_pointer parent;
      for (std::size_t index = 0; index + 1 < path.size(); ++index) parent /= path[index].text;
      if (result.contains(parent) && result[parent].is_object()) result[parent].erase(path.back().text);
    }
  }
  unite(result, desired);
  return result;
}

bool is_within(const Json& part, const Json& whole) {
  if (part.is_object() && whole.is_object()) {
    return std::all_of(part.items().begin(), part.items().end(), [&](const auto& entry) {
      const auto found = whole.find(entry.key());
      return found != whole.end() && is_within(entry.value(), *found);
    });
  }
  if (part.is_array() && whole.is_array()) {
    if (part.size() != whole.size()) return false;
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (!is_within(part[i], whole[i])) return false;
    }
    return true;
  }
  return part == whole;
}

bool names_secret(std::string_view name) {
  constexpr std::array<std::string_view, 11> words{"password", "passwd", "passphrase", "secret", "token", "credential", "private_key", "api_key", "apikey", "access_key", "encryption_key"};
  const auto lower = ascii_lower(name);
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return lower.find(word) != std::string::npos; }) || lower.ends_with("_pass") || lower.ends_with("_dsn");
}

bool key_names_secret(std::string_view key) {
  std::string name{key};
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '-' || c == '.' || c == '/'; }, '_');
  return names_secret(name) || is_secret_variable(name);
}

bool is_document(const Json& value) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != std::string::npos && (text[first] == '{' || text[first] == '[') && Json::parse(text, nullptr, false).is_structured();
}

}  // namespace codops::kube
