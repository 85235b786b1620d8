#pragma once
// The framing of logs, exec and attach without a TTY: [stream, 0, 0, 0, length as big-endian 32 bits] and the bytes.
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/io/bytes.hpp"

namespace codops::engine::docker {

class StreamFrames {
 public:
  StreamFrames(io::ByteSink out, io::ByteSink err) : out_{std::move(out)}, err_{std::move(err)} {}
  // Any cut of the stream will do. Throws Failure{unavailable} when it can't be such a stream.
  void feed(std::string_view bytes);
  // True between frames: a stream that ends elsewhere was cut short.
  bool complete() const noexcept { return header_.empty() && left_ == 0; }

 private:
  void deliver(std::string_view bytes);

  io::ByteSink out_, err_;
  std::string header_;
  std::uint32_t left_{0};
  char stream_{1};
};

}  // namespace codops::engine::docker
