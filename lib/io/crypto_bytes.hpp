#pragma once
// What the sources that call libcrypto share. No header of OpenSSL is needed for it.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "lib/base/failure.hpp"

namespace codops::io {

inline const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
inline unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

[[noreturn]] inline void libcrypto_refuses(std::string_view what) { throw Failure{Exit::bug, fmt::format("libcrypto refuses {}", what)}; }

}  // namespace codops::io
