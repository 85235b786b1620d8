#pragma once
// What is checked in one read and used in another may have been changed between the two by whoever can write there. The first
// read notes a hash of every piece; the second passes a piece on only when it is the same.
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/failure.hpp"
#include "lib/io/byte_stream.hpp"
#include "lib/io/crypto.hpp"

namespace codops::backup {

class Pieces {
 public:
  // 32 bytes are kept of each: 32 MB for a terabyte.
  static constexpr std::size_t piece_size = 1U << 20U;

  void feed(std::string_view bytes);
  void finish();
  // Of the piece with this number, its end included; the one behind the last is empty.
  bool same(std::size_t number, std::string_view piece) const;

 private:
  using Hash = std::array<char, 32>;
  static Hash hash_of(io::Sha256& sha);
  std::vector<Hash> hashes_;
  io::Sha256 open_;
  std::size_t in_open_{};
};

class SameReader final : public io::Reader {
 public:
  // `changed` makes what is thrown for a piece that differs.
  SameReader(io::Reader& source, const Pieces& pieces, std::function<Failure()> changed) : source_{source}, pieces_{pieces}, changed_{std::move(changed)} {}
  std::size_t read(char* into, std::size_t size) override;

 private:
  void next();
  io::Reader& source_;
  const Pieces& pieces_;
  std::function<Failure()> changed_;
  std::string piece_;
  std::size_t at_{}, number_{};
  bool ended_{};
};

}  // namespace codops::backup
