#pragma once
// Whether bytes are UTF-8 (RFC 3629), and what stands in where they aren't.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace codops::text {

// Bytes of the character that begins here; 0: it is no UTF-8, or there is nothing.
std::size_t character_length(std::string_view text);
// Offset of the first byte that is not UTF-8.
std::optional<std::size_t> invalid_utf8(std::string_view text);
// As Node reads a file: every ill-formed part becomes one U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace codops::text
