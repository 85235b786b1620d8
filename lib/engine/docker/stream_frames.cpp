#include "lib/engine/docker/stream_frames.hpp"

#include <algorithm>

#include "lib/base/failure.hpp"

namespace codops::engine::docker {
namespace {

constexpr std::size_t header_size = 8;
constexpr char stdin_stream = 0, stderr_stream = 2, system_error_stream = 3;

std::uint32_t length_in(std::string_view header) {
  std::uint32_t length = 0;
  for (const char c : header.substr(4, 4)) length = length << 8 | static_cast<unsigned char>(c);
  return length;
}

}  // namespace

void StreamFrames::deliver(std::string_view bytes) {
  if (stream_ == system_error_stream) throw Failure{Exit::unavailable, "the engine broke the stream off: " + std::string{bytes}};
  const auto& sink = stream_ == stderr_stream ? err_ : out_;
  if (sink) sink(bytes);
}

void StreamFrames::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      const auto part = bytes.substr(0, left_);
      deliver(part);
      left_ -= static_cast<std::uint32_t>(part.size());
      bytes.remove_prefix(part.size());
      continue;
    }
    const auto part = bytes.substr(0, header_size - header_.size());
    header_ += part;
    bytes.remove_prefix(part.size());
    if (header_.size() < header_size) return;
    stream_ = header_[0];
    if (stream_ < stdin_stream || stream_ > system_error_stream || header_.compare(1, 3, std::string(3, '\0')) != 0) {
      throw Failure{Exit::unavailable, "the engine sent a stream that is not framed"};
    }
    left_ = length_in(header_);
    header_.clear();
  }
}

}  // namespace codops::engine::docker
