#pragma once
// How programs write a text into logs: inside quotes of some language, inside a URL.
#include <string>
#include <string_view>
#include <vector>

namespace codops {

// Only those that differ from the text itself, each once.
// As JSON, a shell's quotes, node's util.inspect and Python's repr have it.
std::vector<std::string> quoted_spellings(std::string_view text);
// Percent-encoded as encodeURIComponent, HTML forms, curl, Go and Python do.
std::vector<std::string> encoded_spellings(std::string_view text);

}  // namespace codops
