#pragma once
// YAML to JSON by the rules that kubectl has (sigs.k8s.io/yaml on Go's yaml.v2): yes, no, on, off, y, n are booleans, 0777
// is octal, a date is text, keys may be numbers or booleans.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/kube/object.hpp"
#include "lib/text/node.hpp"

namespace codops::kube {

nlohmann::json to_json(const text::Node& node);
// Every document that is not empty.
std::vector<text::Node> read_yaml(std::string_view text, std::string file);

}  // namespace codops::kube
