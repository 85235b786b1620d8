#include "lib/io/duplex.hpp"

#include <poll.h>

namespace codops::io {

std::size_t Duplex::read(char* into, std::size_t size, const Limits& limits) {
  for (;;) {
    if (const auto count = try_read(into, size)) return *count;
    limits.wait(fd(), POLLIN);
    limits.check("reading");
  }
}

void Duplex::write(std::string_view bytes, const Limits& limits) {
  while (!bytes.empty()) {
    const auto count = try_write(bytes);
    bytes.remove_prefix(count);
    if (count > 0) continue;
    limits.wait(fd(), POLLOUT);
    limits.check("writing");
  }
}

}  // namespace codops::io
