#pragma once
// Text of strangers (a dump, another program) for a message: it can't steer a terminal, and is UTF-8 whatever it was.
#include <cstddef>
#include <string>
#include <string_view>

#include "lib/text/utf8.hpp"

namespace codops::text {

// "?" in place of each control character and of each byte that is no UTF-8. More than `most` bytes are cut between characters, and "…" says so.
std::string printable(std::string_view text, std::size_t most);

}  // namespace codops::text
