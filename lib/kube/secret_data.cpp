#include "lib/kube/secret_data.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"

namespace codops::kube {
namespace {

bool is_secret(const Object& object) { return object.kind() == "Secret" && object.api_version() == "v1"; }

std::string kind_of(const nlohmann::json& value) {
  if (value.is_number()) return "a number";
  if (value.is_boolean()) return "true or false";
  return value.is_array() ? "a list" : "a mapping";
}

}  // namespace

void settle_secret(Object& object) {
  if (!is_secret(object)) return;
  if (const auto data = object.json().find("data"); data != object.json().end() && data->is_object()) {
    for (auto& [key, value] : object.edit()["data"].items()) {
      if (!value.is_string()) continue;
      auto& text = value.get_ref<std::string&>();
      std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
    }
  }
  if (!object.json().contains("stringData")) return;
  auto& json = object.edit();
  const auto texts = json.at("stringData");
  json.erase("stringData");
  if (!texts.is_object() || texts.empty()) return;
  auto& data = json["data"];
  for (const auto& [key, value] : texts.items()) data[key] = io::to_base64(value.is_string() ? value.get<std::string>() : std::string{});
}

void check_texts(const Object& object, text::Problems& problems) {
  if (!is_secret(object) && (object.kind() != "ConfigMap" || object.api_version() != "v1")) return;
  for (const char* field : {"data", "stringData", "binaryData"}) {
    const auto found = object.json().find(field);
    if (found == object.json().end() || !found->is_object()) continue;
    for (const auto& [key, value] : found->items()) {
      if (value.is_string() || value.is_null()) continue;
      problems.add(object.at(fmt::format("{}[\"{}\"]", field, key)), fmt::format("{}: \"{}\" in {} has to be text, and is {}", object.ref().text(), key, field, kind_of(value)),
                   value.is_structured() ? "write it as text: a block that begins with |" : "write it in quotes");
    }
  }
}

}  // namespace codops::kube
