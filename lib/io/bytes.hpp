#pragma once
// Bytes as they stream by; the shapes that target::Sink and target::Source have too.
#include <cstddef>
#include <functional>
#include <string_view>

namespace codops::io {

// May throw to stop the transfer; an empty view never arrives.
using ByteSink = std::function<void(std::string_view)>;
// Fills at most `size` bytes at `into` and returns how many; 0 is the end.
using ByteSource = std::function<std::size_t(char* into, std::size_t size)>;

}  // namespace codops::io
