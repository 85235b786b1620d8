#include "lib/kube/from_yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "lib/text/scalar.hpp"
#include "lib/text/yaml.hpp"

namespace codops::kube {
namespace {

std::optional<bool> old_boolean(std::string_view text) {
  constexpr std::array<std::string_view, 8> yes{"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"};
  constexpr std::array<std::string_view, 8> no{"n", "N", "no", "No", "NO", "off", "Off", "OFF"};
  if (std::find(yes.begin(), yes.end(), text) != yes.end()) return true;
  if (std::find(no.begin(), no.end(), text) != no.end()) return false;
  return std::nullopt;
}

nlohmann::json number(const text::Node& node) {
  if (node.kind == text::Node::Kind::integer) {
    if (!node.negative) {
      if (node.magnitude <= INT64_MAX) return static_cast<std::int64_t>(node.magnitude);
      return node.magnitude;
    }
    return static_cast<std::int64_t>(~node.magnitude + 1);
  }
  if (std::isnan(node.real) || (std::isinf(node.real) && node.text.find("inf") != std::string::npos) ||
      (std::isinf(node.real) && node.text.find("I") != std::string::npos))
    throw text::failure_at(node.at, fmt::format("{} can't be a value in a manifest", node.text), "write it in quotes if text is meant");
  if (std::isinf(node.real)) return node.text;  // too large for a number: Go keeps the text
  // 1.0 and 1e3 are written as integers.
  if (node.real == std::trunc(node.real) && std::fabs(node.real) < 9e15) return static_cast<std::int64_t>(node.real);
  return node.real;
}

// "2024-01-01 00:00:00 +0000 UTC" as RFC 3339.
std::string full_time(const text::Node& node) {
  auto text = text::typed_text(node);
  if (text.size() < 20) return node.text;
  text[10] = 'T';
  const auto zone = text.find(' ', 11);
  if (zone == std::string::npos || zone + 6 > text.size()) return node.text;
  const auto offset = text.substr(zone + 1, 5);
  return text.substr(0, zone) + (text.ends_with("UTC") ? std::string{"Z"} : offset.substr(0, 3) + ":" + offset.substr(3));
}

}  // namespace

nlohmann::json to_json(const text::Node& node, YamlRules rules) {
  using Kind = text::Node::Kind;
  switch (node.kind) {
    case Kind::null: return nullptr;
    case Kind::boolean: return node.boolean;
    case Kind::integer:
    case Kind::real: return number(node);
    case Kind::timestamp: return rules == YamlRules::kubectl ? node.text : full_time(node);
    case Kind::string:
      if (const auto value = node.plain && rules == YamlRules::kubectl ? old_boolean(node.text) : std::nullopt) return *value;
      return node.text;
    case Kind::sequence: {
      auto list = nlohmann::json::array();
      for (const auto& item : node.items) list.push_back(to_json(item, rules));
      return list;
    }
    case Kind::mapping: {
      auto map = nlohmann::json::object();
      for (const auto& entry : node.entries) map[entry.key] = to_json(entry.value, rules);
      return map;
    }
  }
  return nullptr;
}

std::vector<text::Node> read_yaml(std::string_view text, std::string file) {
  text::YamlLimits limits;
  limits.scalar_keys = true;
  limits.nodes = 1'000'000;
  auto documents = text::parse_yaml_documents(text, std::move(file), limits);
  std::erase_if(documents, [](const text::Node& node) { return node.is_null(); });
  return documents;
}

}  // namespace codops::kube
