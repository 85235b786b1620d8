#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/settings/reference.hpp"
#include "lib/settings/schema.hpp"

namespace codops::settings {
namespace {

using Json = nlohmann::ordered_json;

// A value that is written ${NAME} is a string whatever its type.
Json or_variable(Json type) {
  return {{"anyOf", Json::array({std::move(type), {{"type", "string"}, {"pattern", "\\$"}}})}};
}

Json word_of(const Key& key) {
  switch (key.type) {
    case Type::boolean: return or_variable({{"type", "boolean"}});
    case Type::integer: case Type::integers: return or_variable({{"type", "integer"}, {"minimum", 0}});
    case Type::port: return or_variable({{"type", "integer"}, {"minimum", 1}, {"maximum", 65535}});
    case Type::duration:
      return or_variable({{"type", Json::array({"string", "number"})},
                          {"pattern", "^([0-9]+(\\.[0-9]+)?(us|µs|ms|ns|s|m|h|d|w)?)+$"}});
    case Type::bytes:
      return or_variable({{"type", Json::array({"string", "integer"})}, {"pattern", "^[0-9]+(\\.[0-9]+)? ?[kKmMgGtTpP]?i?[bB]?$"}});
    case Type::choice: {
      Json choices = Json::array();
      for (const auto choice : key.choices) choices.push_back(choice);
      return or_variable({{"enum", choices}});
    }
    default: return {{"type", Json::array({"string", "number", "boolean"})}};
  }
}

Json value_of(const Key& key) {
  Json made;
  const Json list{{"type", "array"}, {"items", word_of(key)}};
  if (key.type == Type::argv) made = list;
  else if (key.type == Type::list || key.type == Type::integers) made = {{"anyOf", Json::array({word_of(key), list})}};
  else made = word_of(key);
  made["description"] = key.help;
  return made;
}

Json section_of(const std::string& pattern) {
  Json properties = Json::object();
  Json others = false;
  for (const auto& child : children_of(pattern)) {
    const auto path = pattern.empty() ? child : pattern + "." + child;
    Json made;
    for (const Key& key : schema()) {
      if (key.path == path) made = value_of(key);
    }
    if (made.is_null()) made = section_of(path);
    if (child.ends_with("[]")) properties[child.substr(0, child.size() - 2)] = {{"type", "array"}, {"items", made}};
    else if (child == "*") others = made;
    else properties[child] = made;
  }
  Json made{{"type", Json::array({"object", "null"})}, {"properties", properties}, {"additionalProperties", others}};
  for (const auto& section : sections()) {
    if (section.path == pattern) made["description"] = section.help;
  }
  return made;
}

}  // namespace

std::string schema_json() {
  auto environment = section_of("");
  Json root = environment;
  root["properties"]["name"] = {{"type", "string"}, {"description", "The project's name. Unset: the directory's."}};
  root["properties"]["environments"] = {{"type", Json::array({"object", "null"})},
                                        {"additionalProperties", {{"$ref", "#/$defs/environment"}}}};
  Json document{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "codops.yaml"}};
  for (auto& [key, value] : root.items()) document[key] = value;
  document["patternProperties"] = {{"^x-", true}};
  environment["patternProperties"] = {{"^x-", true}};
  document["$defs"] = {{"environment", environment}};
  return document.dump(2) + "\n";
}

}  // namespace codops::settings
