#pragma once
#include <string>
#include <string_view>

namespace codops::io {

// 16 raw bytes, for protocols that ask for it: it proves nothing. Empty where libcrypto has none (FIPS).
std::string md5(std::string_view bytes);

}  // namespace codops::io
