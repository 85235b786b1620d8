#pragma once
// What a table's rows amount to, whatever their order: their number and a 128-bit sum of hashes. It finds damage and
// mistakes; against somebody who means it there is the manifest's signature.
#include <cstdint>
#include <string>
#include <string_view>

namespace codops::io {

class RowDigest {
 public:
  // Rows of COPY's text format, in pieces of any size: each line is a row, up to the line "\." or the end.
  void feed(std::string_view bytes);
  // Bytes of a line that has not ended yet are no row: true when there are none.
  bool complete() const noexcept { return partial_.empty(); }
  void add(const RowDigest& other);
  // What rows() and hex() told.
  static RowDigest of(std::uint64_t rows, std::string_view hex);
  bool operator==(const RowDigest& other) const noexcept { return rows_ == other.rows_ && low_ == other.low_ && high_ == other.high_; }

  std::uint64_t rows() const noexcept { return rows_; }
  std::string hex() const;  // 32 digits: the sum of XXH3-128 (seed 0) of each line, without its end, modulo 2^128

 private:
  void row(std::string_view line);

  std::uint64_t rows_{}, low_{}, high_{};
  std::string partial_;
  bool ended_{};
};

}  // namespace codops::io
