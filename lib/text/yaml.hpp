#pragma once
// YAML text to a tree with positions. Anchors, aliases and `<<` are resolved here (shallow, a mapping's own keys win,
// of a list the first wins); a key that a mapping has twice is an error; expansion by aliases is capped.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/text/node.hpp"

namespace codops::text {

struct YamlLimits {
  std::size_t nodes = 200'000;  // per text, aliases expanded
  bool scalar_keys = false;     // a key that is a number or true/false is its text; else an error
};

// Every document of `text`; `file` is the name that positions and errors show. An empty document is a null node.
// Throws Failure{config, "file:line:column: …"}.
std::vector<Node> parse_yaml_documents(std::string_view text, std::string file, const YamlLimits& limits = {});

// The only document of `text`: an empty text is a null node, more than one an error.
Node parse_yaml(std::string_view text, std::string file, const YamlLimits& limits = {});

}  // namespace codops::text
