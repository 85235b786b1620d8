#pragma once
// Percent-encoding in URLs (RFC 3986, 2.1).
#include <string>
#include <string_view>

namespace codops {

// "p%40ss" → "p@ss"; a '%' that begins no two hexadecimal digits stands for itself.
std::string percent_decoded(std::string_view text);

}  // namespace codops
