#pragma once
// The bytes below an RDB: summed, collected and copied while they are read. Only for rdb.cpp, on whose hottest path they are.
#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "lib/backup/rdb.hpp"
#include "lib/base/failure.hpp"

namespace codops::backup {

[[noreturn]] inline void rdb_is_damaged(const std::string& what) { throw Failure{Exit::data, "the RDB is damaged: " + what}; }

class RdbBytes {
 public:
  explicit RdbBytes(io::Reader& source) : source_{source}, buffer_(256U << 10U) {}

  void take(char* into, std::size_t size) {
    while (size > 0) {
      if (at_ == end_ && !fill()) rdb_is_damaged("it ends too early");
      const auto count = std::min(size, end_ - at_);
      const std::string_view piece{buffer_.data() + at_, count};
      crc_ = crc64(crc_, piece);
      if (copy_ != nullptr) pass(piece);
      if (keep_ != nullptr) keep_->append(piece);
      if (into != nullptr) {
        std::memcpy(into, piece.data(), count);
        into += count;
      }
      at_ += count;
      size -= count;
    }
  }
  void skip(std::uint64_t size) {
    while (size > 0) {
      const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(size, 1U << 20U));
      take(nullptr, piece);
      size -= piece;
    }
  }
  std::uint8_t byte() {
    char value = 0;
    take(&value, 1);
    return static_cast<std::uint8_t>(value);
  }
  template <std::size_t Size>
  std::uint64_t little() {
    std::array<char, Size> raw{};
    take(raw.data(), Size);
    std::uint64_t value = 0;
    for (std::size_t i = Size; i-- > 0;) value = value << 8U | static_cast<std::uint8_t>(raw[i]);
    return value;
  }
  template <std::size_t Size>
  std::uint64_t big() {
    std::array<char, Size> raw{};
    take(raw.data(), Size);
    std::uint64_t value = 0;
    for (const char c : raw) value = value << 8U | static_cast<std::uint8_t>(c);
    return value;
  }
  bool at_end() { return at_ == end_ && !fill(); }
  std::uint64_t crc() const { return crc_; }
  void keep_in(std::string* text) { keep_ = text; }

  // What is taken goes to the copy, or waits until it is known whether it will, or is left out.
  enum class Passing { on, held, off };
  void copy_to(io::Writer* copy) { copy_ = copy; }
  void passing(Passing how) {
    if (how != Passing::held) {
      const auto waiting = std::exchange(waiting_, {});
      passing_ = how;
      if (how == Passing::on && copy_ != nullptr) pass(waiting);
    }
    passing_ = how;
  }
  void end_copy(bool with_sum) {
    if (copy_ == nullptr) return;
    if (with_sum) {
      std::string sum;
      for (int i = 0; i < 8; ++i) sum.push_back(static_cast<char>(copied_crc_ >> (8 * i) & 0xFFU));
      copied_ += sum;
    }
    copy_->write(copied_);
    copied_.clear();
  }

 private:
  void pass(std::string_view piece) {
    if (passing_ == Passing::off) return;
    if (passing_ == Passing::held) {
      waiting_ += piece;
      return;
    }
    copied_crc_ = crc64(copied_crc_, piece);
    copied_ += piece;
    if (copied_.size() < 65536) return;
    copy_->write(copied_);
    copied_.clear();
  }
  bool fill() {
    at_ = 0;
    end_ = source_.read(buffer_.data(), buffer_.size());
    return end_ > 0;
  }
  io::Reader& source_;
  std::vector<char> buffer_;
  std::size_t at_{}, end_{};
  std::uint64_t crc_{};
  std::string* keep_{};
  io::Writer* copy_{};
  Passing passing_{Passing::on};
  std::string waiting_, copied_;
  std::uint64_t copied_crc_{};
};

}  // namespace codops::backup
