#pragma once
// YAML to JSON by the rules that kubectl has, which are not kustomize's. In both 0777 is octal and keys may be numbers or booleans.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/kube/object.hpp"
#include "lib/text/node.hpp"

namespace codops::kube {

enum class YamlRules {
  kubectl,    // Go's yaml.v2: yes, no, on, off, y, n are booleans; a date is text as it stands
  kustomize,  // Go's yaml.v3: yes, no, on, off, y, n are texts; a date is a time in full
};
nlohmann::json to_json(const text::Node& node, YamlRules rules = YamlRules::kubectl);
// Every document that is not empty.
std::vector<text::Node> read_yaml(std::string_view text, std::string file);

}  // namespace codops::kube
