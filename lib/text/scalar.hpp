#pragma once
// What a YAML scalar without quotes means, and how Go prints numbers.
#include <string>
#include <string_view>

#include "lib/text/node.hpp"

namespace codops::text {

// Sets kind and value of `node` from its text, as Go's yaml.v3 resolves a plain scalar without a tag.
void resolve_plain(Node& node);

// The shortest text that reads back as `value`, as Go's %v writes it: "1", "0.5", "1e-07", "1e+06".
std::string format_real(double value);

// A scalar as text, the way Go's fmt.Sprint shows the typed value: 0x1F is "31", 1.10 is "1.1", 2024-01-01 is
// "2024-01-01 00:00:00 +0000 UTC". A null is "".
std::string typed_text(const Node& scalar);

}  // namespace codops::text
