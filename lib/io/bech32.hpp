#pragma once
// Bech32 (BIP 173) without its length limit, as age keys use it.
#include <optional>
#include <string>
#include <string_view>

namespace codops::io {

struct Bech32 {
  std::string prefix;  // lower case
  std::string bytes;
};
std::string to_bech32(std::string_view prefix, std::string_view bytes);  // lower case
// nullopt: mixed case, a wrong checksum, another alphabet, or padding that is not zero.
std::optional<Bech32> from_bech32(std::string_view text);

}  // namespace codops::io
