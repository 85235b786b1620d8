#include "lib/backup/pieces.hpp"

#include <algorithm>

namespace codops::backup {

Pieces::Hash Pieces::hash_of(io::Sha256& sha) {
  Hash hash{};
  sha.raw().copy(hash.data(), hash.size());
  return hash;
}

void Pieces::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto taken = bytes.substr(0, piece_size - in_open_);
    open_.update(taken);
    in_open_ += taken.size();
    bytes.remove_prefix(taken.size());
    if (in_open_ == piece_size) finish();
  }
}

void Pieces::finish() {
  if (in_open_ == 0) return;
  hashes_.push_back(hash_of(open_));
  open_ = io::Sha256{};
  in_open_ = 0;
}

bool Pieces::same(std::size_t number, std::string_view piece) const {
  if (number >= hashes_.size()) return piece.empty();
  io::Sha256 sha;
  sha.update(piece);
  return hash_of(sha) == hashes_[number];
}

std::size_t SameReader::read(char* into, std::size_t size) {
  if (at_ == piece_.size() && !ended_) next();
  const auto taken = piece_.copy(into, size, at_);
  at_ += taken;
  return taken;
}

void SameReader::next() {
  piece_.resize(Pieces::piece_size);
  std::size_t filled = 0;
  while (filled < piece_.size()) {
    const auto got = source_.read(piece_.data() + filled, piece_.size() - filled);
    if (got == 0) break;
    filled += got;
  }
  piece_.resize(filled);
  at_ = 0;
  ended_ = filled < Pieces::piece_size;
  if (!pieces_.same(number_++, piece_)) throw changed_();
}

}  // namespace codops::backup
