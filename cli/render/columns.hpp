#pragma once
// Text measured in terminal columns, not bytes.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace codops::cli::render {

// East Asian wide characters and emoji count two, combining ones none. Invalid UTF-8 counts one a byte.
std::size_t columns(std::string_view text);
// At most `width` columns; what is cut off is shown as "…".
std::string fitted(std::string_view text, std::size_t width);
std::string padded(std::string_view text, std::size_t width);
// Broken at spaces into lines of at most `width` columns; a longer word is broken where it must be. Never empty.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);
// Without what could steer a terminal: escape sequences go, other control characters become a space.
std::string clean(std::string_view text);

}  // namespace codops::cli::render
