#include "lib/compose/document.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/compose/keys.hpp"
#include "lib/compose/model.hpp"
#include "lib/text/scalar.hpp"

namespace codops::compose {

using nlohmann::json;
using text::Node;

namespace {

json number_of(const Node& node) {
  if (node.kind == Node::Kind::integer) {
    if (!node.negative) return node.magnitude;
    return static_cast<std::int64_t>(~node.magnitude + 1);
  }
  // Go prints a whole float without a fraction.
  if (node.real == std::floor(node.real) && std::fabs(node.real) < 9e15) return static_cast<std::int64_t>(node.real);
  return node.real;
}

json any_of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null: return nullptr;
    case Node::Kind::boolean: return node.boolean;
    case Node::Kind::integer:
    case Node::Kind::real: return number_of(node);
    case Node::Kind::timestamp: {
      // As Go's time.Time: "2024-01-01T00:00:00Z".
      auto shown = text::typed_text(node);
      shown[10] = 'T';
      return shown.substr(0, shown.find(' ')) + "Z";
    }
    case Node::Kind::string: return node.text;
    case Node::Kind::sequence: {
      auto list = json::array();
      for (const auto& item : node.items) list.push_back(any_of(item));
      return list;
    }
    case Node::Kind::mapping: {
      auto object = json::object();
      for (const auto& entry : node.entries) object[entry.key] = any_of(entry.value);
      return object;
    }
  }
  return nullptr;
}

bool is_zero(const json& value) {
  return value.is_null() || value == "" || (value.is_number() && value == 0) || value == false ||
         ((value.is_array() || value.is_object()) && value.empty());
}

json value_of(const Node& node, const Key& key);

json object_of(const Node& node, const Key& key) {
  auto object = json::object();
  for (const auto& [name, at, child] : node.entries) {
    if (name.starts_with("x-")) continue;
    const auto* known = key.find(name);
    if (!known || (key.name == "ipam" && name == "options")) continue;  // docker compose drops ipam.options
    auto value = value_of(child, *known);
    const bool zero = is_zero(value) || (known->form == Form::duration && value == "0s");
    const bool is_object = !known->below.empty() && known->form != Form::map && known->form != Form::depends_on &&
                           known->form != Form::networks && value.is_object();
    if (known->keep_zero || is_object || !zero) object[name] = std::move(value);
  }
  return object;
}

json value_of(const Node& node, const Key& key) {
  switch (key.form) {
    case Form::any: return any_of(node);
    case Form::text:
    case Form::scalar_text: return node.text;
    case Form::integer:
    case Form::number:
    case Form::count: return number_of(node);
    case Form::boolean:
    case Form::external: return node.boolean;
    case Form::duration: return node.text;
    case Form::bytes: {
      auto number = number_of(node);
      if (number == 0) return nullptr;
      return number.dump();
    }
    case Form::hosts: {
      auto list = json::array();
      for (const auto& entry : node.entries) {
        for (const auto& address : entry.value.items) list.push_back(entry.key + "=" + address.text);
      }
      std::sort(list.begin(), list.end());
      return list;
    }
    case Form::ssh: {
      auto list = json::array();
      for (const auto& entry : node.entries)
        list.push_back(entry.value.is_null() ? entry.key : entry.key + "=" + entry.value.text);
      return list;
    }
    case Form::environment: {
      auto object = json::object();
      for (const auto& entry : node.entries) {
        if (!entry.value.is_null()) {
          object[entry.key] = entry.value.text;
        } else if (key.name != "args") {
          object[entry.key] = nullptr;
        }
      }
      return object;
    }
    case Form::ulimit:
      if (!node.is_mapping()) return number_of(node);
      return object_of(node, key);
    default: break;
  }
  if (node.is_sequence()) {
    auto list = json::array();
    for (const auto& item : node.items) list.push_back(key.item() ? value_of(item, *key.item()) : any_of(item));
    return list;
  }
  if (node.is_mapping()) return key.below.empty() ? any_of(node) : object_of(node, key);
  return nullptr;
}

// Docker compose prints these with the names of Go's fields.
void rename_block_io(json& service) {
  if (!service.contains("blkio_config")) return;
  for (auto& [key, list] : service["blkio_config"].items()) {
    if (!list.is_array()) continue;
    for (auto& item : list) {
      auto renamed = json::object();
      for (auto& [name, value] : item.items())
        renamed[std::string{static_cast<char>(name[0] & ~0x20)} + name.substr(1)] = value;
      item = std::move(renamed);
    }
  }
}

json doubled(const json& value) {
  const auto twice = [](const std::string& text) {
    std::string out;
    for (const char c : text) out.append(c == '$' ? 2 : 1, c);
    return out;
  };
  if (value.is_string()) return twice(value.get_ref<const std::string&>());
  if (value.is_array()) {
    auto list = json::array();
    for (const auto& item : value) list.push_back(doubled(item));
    return list;
  }
  if (value.is_object()) {
    auto object = json::object();
    for (const auto& [key, item] : value.items()) object[twice(key)] = doubled(item);
    return object;
  }
  return value;
}

}  // namespace

json document_of(const Node& root) {
  auto document = object_of(root, keys());
  if (const auto* services = root.find("services")) {
    if (!document.contains("services")) document["services"] = json::object();
    for (const auto& entry : services->entries) {
      if (document["services"].contains(entry.key)) rename_block_io(document["services"][entry.key]);
    }
  }
  for (const auto& entry : root.entries) {
    if (entry.key.starts_with("x-")) document[entry.key] = any_of(entry.value);
  }
  return document;
}

std::string to_json(const Project& project) { return doubled(*project.document).dump(2) + "\n"; }

std::string canonical_json(const Project& project, const std::string& service) {
  auto definition = project.document->at("services").at(service);
  for (const auto* key : {"scale", "profiles", "depends_on", "build", "develop", "pull_policy"}) definition.erase(key);
  if (auto deploy = definition.find("deploy"); deploy != definition.end()) {
    for (const auto* key : {"replicas", "update_config", "rollback_config", "placement", "mode", "endpoint_mode"})
      deploy->erase(key);
  }
  return definition.dump();
}

}  // namespace codops::compose
