#include "lib/io/row_digest.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <charconv>
#include <cstring>

namespace codops::io {

void RowDigest::feed(std::string_view bytes) {
  while (!bytes.empty() && !ended_) {
    const auto* end = static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
    if (end == nullptr) {
      partial_.append(bytes);
      return;
    }
    const auto size = static_cast<std::size_t>(end - bytes.data());
    if (partial_.empty()) {
      row(bytes.substr(0, size));
    } else {
      partial_.append(bytes.substr(0, size));
      row(partial_);
      partial_.clear();
    }
    bytes.remove_prefix(size + 1);
  }
}

void RowDigest::row(std::string_view line) {
  if (line == "\\.") {
    ended_ = true;
    return;
  }
  const auto hash = ::XXH3_128bits(line.data(), line.size());
  low_ += hash.low64;
  high_ += hash.high64 + (low_ < hash.low64 ? 1U : 0U);
  ++rows_;
}

void RowDigest::add(const RowDigest& other) {
  low_ += other.low_;
  high_ += other.high_ + (low_ < other.low_ ? 1U : 0U);
  rows_ += other.rows_;
}

RowDigest RowDigest::of(std::uint64_t rows, std::string_view hex) {
  RowDigest digest;
  digest.rows_ = rows;
  if (hex.size() != 32) return digest;
  std::from_chars(hex.data(), hex.data() + 16, digest.high_, 16);
  std::from_chars(hex.data() + 16, hex.data() + 32, digest.low_, 16);
  return digest;
}

std::string RowDigest::hex() const { return fmt::format("{:016x}{:016x}", high_, low_); }

}  // namespace codops::io
