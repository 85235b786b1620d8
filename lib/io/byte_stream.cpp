#include "lib/io/byte_stream.hpp"

#include "lib/base/failure.hpp"

namespace codops::io {

std::string read_all(Reader& reader, std::size_t cap) {
  std::string text;
  std::vector<char> buffer(64U << 10U);
  while (const auto got = reader.read(buffer.data(), buffer.size())) {
    if (text.size() + got > cap) throw Failure{Exit::data, fmt::format("more than {} bytes", cap)};
    text.append(buffer.data(), got);
  }
  return text;
}

std::uint64_t copy(Reader& from, Writer& to) {
  std::uint64_t total = 0;
  std::vector<char> buffer(256U << 10U);
  while (const auto got = from.read(buffer.data(), buffer.size())) {
    to.write({buffer.data(), got});
    total += got;
  }
  to.finish();
  return total;
}

}  // namespace codops::io
